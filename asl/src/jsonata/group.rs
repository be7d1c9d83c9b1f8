//! Owns the making of objects: `{…}` alone, and behind a path, where it groups what the path found.
//!
//! <https://docs.jsonata.org/sorting-grouping>

use super::ast::{Name, Node};
use super::error::Error;
use super::evaluate::Evaluator;
use super::frame::FrameId;
use super::value::{Fields, Tuple, Value};

impl Evaluator<'_> {
    /// Makes an object: keys and values by item, values of the same key together.
    pub(super) fn group(
        &mut self,
        pairs: &[(Node, Node)],
        input: &Value,
        at: usize,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let groups = match input {
            Value::Tuples(tuples) => self.tuple_groups(pairs, tuples, at, frame)?,
            _ => self.groups(pairs, input, at, frame)?,
        };
        let mut fields = Fields::with_capacity(groups.len());
        for (key, group) in groups {
            let (_, value) = &pairs[group.pair];
            let value = match group.data {
                Data::Values(values) => self.evaluate(value, &values.into_context(), frame)?,
                Data::Tuples(tuples) => {
                    self.spend_items(tuples.len() * 4)?;
                    let tuple = Tuple::merged(tuples);
                    self.within(frame, tuple.variables(), |this, frame| {
                        this.evaluate(value, &tuple.context, frame)
                    })?
                }
            };
            if !value.is_undefined() {
                fields.insert(key, value);
            }
        }
        self.spend_items(fields.len())?;
        Ok(Value::object(fields))
    }

    fn groups(
        &mut self,
        pairs: &[(Node, Node)],
        input: &Value,
        at: usize,
        frame: FrameId,
    ) -> Result<Groups, Error> {
        let mut groups = Groups::default();
        let items = match input.as_items() {
            [] => &[Value::Undefined],
            items => items,
        };
        for item in items {
            for (pair, (key, _)) in pairs.iter().enumerate() {
                let key = self.evaluate(key, item, frame)?;
                let Some(group) = group_of(&mut groups, key, pair, at)? else {
                    continue;
                };
                if let Data::Values(values) = &mut group.data {
                    self.spend_items(item.as_items().len())?;
                    values.append(item);
                }
            }
        }
        Ok(groups)
    }

    fn tuple_groups(
        &mut self,
        pairs: &[(Node, Node)],
        tuples: &[Tuple],
        at: usize,
        frame: FrameId,
    ) -> Result<Groups, Error> {
        let mut groups = Groups::default();
        for tuple in tuples {
            for (pair, (key, _)) in pairs.iter().enumerate() {
                let key = self.within(frame, tuple.variables(), |this, frame| {
                    this.evaluate(key, &tuple.context, frame)
                })?;
                let Some(group) = group_of(&mut groups, key, pair, at)? else {
                    continue;
                };
                match &mut group.data {
                    Data::Tuples(tuples) => tuples.push(tuple.clone()),
                    Data::Values(_) => group.data = Data::Tuples(vec![tuple.clone()]),
                }
            }
        }
        Ok(groups)
    }
}

type Groups = indexmap::IndexMap<Name, Group>;

/// The items that have the same key.
struct Group {
    /// The pair of expressions that gave the key.
    pair: usize,
    data: Data,
}

enum Data {
    Values(Collected),
    Tuples(Vec<Tuple>),
}

/// Values put together as `$append` does.
#[derive(Default)]
struct Collected {
    first: Option<Value>,
    items: Option<Vec<Value>>,
}

impl Collected {
    fn append(&mut self, item: &Value) {
        let Some(first) = self.first.take_if(|first| !first.is_undefined()) else {
            if self.items.is_none() {
                self.first = Some(item.clone());
                return;
            }
            if let (Some(items), false) = (&mut self.items, item.is_undefined()) {
                items.extend_from_slice(item.as_items());
            }
            return;
        };
        if item.is_undefined() {
            self.first = Some(first);
            return;
        }
        let mut items = first.as_items().to_vec();
        items.extend_from_slice(item.as_items());
        self.items = Some(items);
    }

    fn into_context(self) -> Value {
        match (self.first, self.items) {
            (_, Some(items)) => Value::array(items),
            (first, None) => first.unwrap_or(Value::Undefined),
        }
    }
}

fn group_of(
    groups: &mut Groups,
    key: Value,
    pair: usize,
    at: usize,
) -> Result<Option<&mut Group>, Error> {
    let key = match key {
        Value::Undefined => return Ok(None),
        Value::Text(key) => key,
        other => {
            let shown = super::text::text_of(&other, false)?;
            let message =
                format!("Key in object structure must evaluate to a string; got: {shown}");
            return Err(Error::new("T1003", message).at(at));
        }
    };
    let shown = key.clone();
    let group = groups.entry(key).or_insert_with(|| Group {
        pair,
        data: Data::Values(Collected::default()),
    });
    if group.pair != pair {
        let message = format!(
            "Multiple key definitions evaluate to same key: {:?}",
            &*shown
        );
        return Err(Error::new("D1009", message).at(at));
    }
    Ok(Some(group))
}

impl Tuple {
    /// Several tuples as one: what they bind is put together.
    fn merged(tuples: Vec<Tuple>) -> Tuple {
        let mut context = Collected::default();
        let mut bindings: indexmap::IndexMap<Name, Collected> = indexmap::IndexMap::new();
        for tuple in tuples {
            context.append(&tuple.context);
            for (name, value) in &tuple.bindings {
                bindings.entry(name.clone()).or_default().append(value);
            }
        }
        let bindings = bindings.into_iter();
        Tuple {
            context: context.into_context(),
            bindings: bindings
                .map(|(name, values)| (name, values.into_context()))
                .collect(),
        }
    }
}
