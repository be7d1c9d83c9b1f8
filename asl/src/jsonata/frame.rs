//! Owns the variables of an expression: frames in one arena, so that closures that know each other
//! are no cycle, and dropping them does not recurse.

use std::cell::OnceCell;

use super::ast::Name;
use super::value::Value;

/// A frame of an arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameId(usize);

/// The frame that sees only the globals.
pub(super) const OUTERMOST: FrameId = FrameId(0);

#[derive(Debug)]
struct Frame {
    parent: FrameId,
    bindings: Vec<(Name, Value)>,
}

/// All frames of an evaluation. Frame 0 stands for the globals.
#[derive(Debug, Default)]
pub(super) struct Frames {
    frames: Vec<Frame>,
}

impl Frames {
    /// A new frame inside of another.
    pub(super) fn push(&mut self, parent: FrameId, bindings: Vec<(Name, Value)>) -> FrameId {
        self.frames.push(Frame { parent, bindings });
        FrameId(self.frames.len())
    }

    /// How many frames there are, for [`Frames::forget`].
    pub(super) fn mark(&self) -> usize {
        self.frames.len()
    }

    /// Forgets the frames since a mark; nothing may refer to them any more.
    pub(super) fn forget(&mut self, mark: usize) {
        self.frames.truncate(mark);
    }

    /// Gives a variable of a frame its value.
    pub(super) fn bind(&mut self, frame: FrameId, name: &Name, value: Value) {
        let Some(frame) = frame.0.checked_sub(1) else {
            return;
        };
        let bindings = &mut self.frames[frame].bindings;
        match bindings.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => bindings.push((name.clone(), value)),
        }
    }

    /// The value of a variable, if a frame has it; also how many frames were searched.
    pub(super) fn find(&self, frame: FrameId, name: &str) -> (Option<&Value>, usize) {
        let mut at = frame;
        let mut searched = 0;
        while let Some(index) = at.0.checked_sub(1) {
            let frame = &self.frames[index];
            searched += 1 + frame.bindings.len() / 8;
            if let Some((_, value)) = frame.bindings.iter().find(|(known, _)| &**known == name) {
                return (Some(value), searched);
            }
            at = frame.parent;
        }
        (None, searched)
    }
}

/// JSON that becomes a value when somebody looks at it.
#[derive(Debug)]
pub(super) struct Global<'a> {
    json: &'a serde_json::Value,
    value: OnceCell<Value>,
}

impl<'a> Global<'a> {
    pub(super) fn new(json: &'a serde_json::Value) -> Global<'a> {
        Global {
            json,
            value: OnceCell::new(),
        }
    }

    pub(super) fn value(&self) -> &Value {
        self.value.get_or_init(|| Value::from_json(self.json))
    }
}
