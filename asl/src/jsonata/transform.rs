//! Owns the transform operator: a copy of a value in which what a pattern finds is updated.
//!
//! Values are shared and never changed in place: what the pattern finds is known by its address in
//! the copy, and the copy is put together again with what took its place.
//! <https://docs.jsonata.org/other-operators#-------transform>

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::Transform;
use super::error::Error;
use super::evaluate::{Evaluator, VALUE_DEPTH_MAX};
use super::frame::FrameId;
use super::text::text_of;
use super::value::{Array, Object, Value};

/// What takes the place of objects, by their address; the objects are kept so that no other may
/// come to have it.
type Changed = HashMap<*const Object, (Arc<Object>, Value)>;

impl Evaluator<'_> {
    pub(super) fn transform(
        &mut self,
        transform: &Transform,
        value: Value,
        frame: FrameId,
        name: &str,
    ) -> Result<Value, Error> {
        if value.is_undefined() {
            return Ok(value);
        }
        if !matches!(value, Value::Object(_) | Value::Array(_)) {
            let message =
                format!("Argument 1 of function {name:?} does not match function signature");
            return Err(Error::new("T0410", message));
        }
        self.spend_weight(&value)?;
        let copy = copied(&value);
        let mut changed = Changed::new();
        let found = self.evaluate(&transform.pattern, &copy, frame)?;
        for found in found.as_items() {
            let current = match found {
                Value::Object(object) => changed
                    .get(&Arc::as_ptr(object))
                    .map_or(found, |(_, current)| current)
                    .clone(),
                other => other.clone(),
            };
            if current.is_undefined() {
                continue;
            }
            let updated = self.updated(transform, current, frame)?;
            if let (Value::Object(object), Value::Object(_)) = (found, &updated) {
                changed.insert(Arc::as_ptr(object), (object.clone(), updated));
            }
        }
        self.rebuilt(&copy, &changed, 0)
    }

    fn updated(
        &mut self,
        transform: &Transform,
        current: Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let update = self.evaluate(&transform.update, &current, frame)?;
        let mut fields = match &current {
            Value::Object(object) => object.fields().clone(),
            _ => Default::default(),
        };
        self.spend_items(fields.len() * 2)?;
        match &update {
            Value::Undefined => {}
            Value::Object(update) => fields.extend(update.fields().clone()),
            other => {
                let message = format!(
                    "The insert/update clause of the transform expression must evaluate to an object: {}",
                    text_of(other, false)?
                );
                return Err(Error::new("T2011", message).at(transform.update.at));
            }
        }
        let updated = match &current {
            Value::Object(_) => Value::object(fields.clone()),
            other => other.clone(),
        };
        let Some(delete) = &transform.delete else {
            return Ok(updated);
        };
        let names = self.evaluate(delete, &updated, frame)?;
        if names.is_undefined() {
            return Ok(updated);
        }
        for name in names.as_items() {
            let Value::Text(name) = name else {
                let message = format!(
                    "The delete clause of the transform expression must evaluate to a string or array of strings: {}",
                    text_of(&names, false)?
                );
                return Err(Error::new("T2012", message).at(delete.at));
            };
            self.spend_items(fields.len())?;
            fields.shift_remove(name);
        }
        Ok(match updated {
            Value::Object(_) => Value::object(fields),
            other => other,
        })
    }

    /// A value with what changed in its place.
    fn rebuilt(&mut self, value: &Value, changed: &Changed, depth: usize) -> Result<Value, Error> {
        self.spend(1)?;
        if depth > VALUE_DEPTH_MAX {
            let message = "The transform expression puts an object into itself";
            return Err(Error::new("D1011", message));
        }
        Ok(match value {
            Value::Array(array) => {
                let mut items = Vec::with_capacity(array.items().len());
                for item in array.items() {
                    items.push(self.rebuilt(item, changed, depth + 1)?);
                }
                let mut rebuilt = Array::new(items);
                (rebuilt.sequence, rebuilt.outer) = (array.sequence, array.outer);
                rebuilt.into()
            }
            Value::Object(object) => {
                let current = changed.get(&Arc::as_ptr(object));
                let fields = match current {
                    Some((_, Value::Object(current))) => current.fields(),
                    _ => object.fields(),
                };
                let mut rebuilt = super::value::Fields::with_capacity(fields.len());
                for (name, field) in fields {
                    rebuilt.insert(name.clone(), self.rebuilt(field, changed, depth + 1)?);
                }
                Value::object(rebuilt)
            }
            other => other.clone(),
        })
    }
}

/// A copy that shares no object, so that each has an address of its own.
fn copied(value: &Value) -> Value {
    match value {
        Value::Array(array) if array.outer => array.items().first().map_or(Value::Null, copied),
        Value::Array(array) => Value::array(array.items().iter().map(copied).collect()),
        Value::Object(object) => {
            let fields = object.fields().iter();
            Value::object(
                fields
                    .map(|(name, field)| (name.clone(), copied(field)))
                    .collect(),
            )
        }
        Value::Function(_) => Value::from(""),
        other => other.clone(),
    }
}
