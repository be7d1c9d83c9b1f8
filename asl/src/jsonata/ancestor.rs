//! Owns the search for the step whose context a `%` means: up the path that it is in, and on from
//! there. <https://docs.jsonata.org/path-operators#-parent>

use super::ast::{Kind, Node};
use super::error::Error;
use super::shape::{Shaper, no_parent, pass_on};

impl Shaper {
    /// Connects what the last step of a path seeks with the steps before.
    pub(super) fn resolve(&mut self, path: &mut Node) -> Result<(), Error> {
        let Kind::Path { steps, .. } = &mut path.kind else {
            return Ok(());
        };
        let mut sought = Vec::new();
        if let Some(last) = steps.last() {
            pass_on(last, &mut sought);
        }
        for slot in sought {
            let mut left = steps.len().saturating_sub(1);
            while self.slots[slot].level > 0 {
                if left == 0 {
                    path.seeking.push(slot);
                    break;
                }
                left -= 1;
                // Steps that bind the context with `@` share it.
                while left > 0 && steps[left].focus.is_some() && steps[left - 1].focus.is_some() {
                    left -= 1;
                }
                self.seek(&mut steps[left], slot)?;
            }
        }
        Ok(())
    }

    /// Takes a slot up through a part; when its level comes to 0, the part fills it.
    pub(super) fn seek(&mut self, node: &mut Node, slot: usize) -> Result<(), Error> {
        match &mut node.kind {
            Kind::Name(_) | Kind::Wildcard => {
                self.slots[slot].level -= 1;
                if self.slots[slot].level == 0 {
                    if let Some(ancestor) = node.ancestor {
                        self.slots[slot].label = self.slots[ancestor].label;
                    }
                    node.ancestor = Some(slot);
                    node.tuple = true;
                }
            }
            Kind::Parent(_) => self.slots[slot].level += 1,
            Kind::Block(parts) => {
                if let Some(last) = parts.last_mut() {
                    node.tuple = true;
                    self.seek(last, slot)?;
                }
            }
            Kind::Path { steps, .. } => {
                node.tuple = true;
                for (index, step) in steps.iter_mut().rev().enumerate() {
                    if index > 0 && self.slots[slot].level <= 0 {
                        break;
                    }
                    self.seek(step, slot)?;
                }
            }
            _ => return Err(no_parent(node.at)),
        }
        Ok(())
    }
}
