//! Owns paths: one step after the other, each applied to every value that the step before found.
//!
//! <https://docs.jsonata.org/path-operators>

use std::sync::Arc;

use super::ast::{Kind, Name, Node, Stage};
use super::error::Error;
use super::evaluate::Evaluator;
use super::frame::FrameId;
use super::value::{Array, Fields, Tuple, Value};

impl<'a> Evaluator<'a> {
    pub(super) fn path(
        &mut self,
        node: &Node,
        steps: &[Node],
        input: &Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let keep = matches!(
            node.kind,
            Kind::Path {
                keep_singleton: true,
                ..
            }
        );
        let from_variable = matches!(steps.first().map(|s| &s.kind), Some(Kind::Variable(_)));
        let mut sequence = match input {
            Value::Array(_) if !from_variable => input.clone(),
            other => Value::sequence(vec![other.clone()]),
        };
        let mut tuples: Option<Vec<Tuple>> = None;
        for (index, step) in steps.iter().enumerate() {
            if index == 0 && step.constructs {
                sequence = self.evaluate(step, &sequence, frame)?;
            } else if step.tuple || tuples.is_some() {
                tuples = Some(self.tuple_step(step, &sequence, tuples, frame)?);
                continue;
            } else {
                sequence = self.step(step, &sequence, frame, index + 1 == steps.len())?;
            }
            if sequence.is_undefined()
                || matches!(&sequence, Value::Array(array) if array.items().is_empty())
            {
                break;
            }
        }
        if let Some(pairs) = &node.group {
            let input = match tuples {
                Some(tuples) => Value::Tuples(Arc::new(tuples)),
                None => sequence,
            };
            return self.group(pairs, &input, node.at, frame);
        }
        if let Some(tuples) = tuples {
            if node.tuple {
                return Ok(Value::Tuples(Arc::new(tuples)));
            }
            sequence = Value::sequence(tuples.into_iter().map(|tuple| tuple.context).collect());
        }
        if let (true, Value::Array(array)) = (keep, &mut sequence) {
            if array.constructed && !array.sequence {
                let inner = Value::Array(array.clone());
                *array = Arc::new(Array::sequence(vec![inner]));
            }
            if array.sequence {
                Arc::make_mut(array).keep = true;
            }
        }
        Ok(sequence)
    }

    /// Applies a step to each value.
    fn step(
        &mut self,
        step: &Node,
        input: &Value,
        frame: FrameId,
        last: bool,
    ) -> Result<Value, Error> {
        if let Kind::Sort(terms) = &step.kind {
            let sorted = self.sort_values(terms, input, step.at, frame)?;
            return self.stages(&step.stages, sorted, frame);
        }
        let mut results = Vec::new();
        for item in input.as_items() {
            let mut result = self.evaluate(step, item, frame)?;
            if !step.stages.is_empty() {
                result = self.stages(&step.stages, result, frame)?;
            }
            if !result.is_undefined() {
                results.push(result);
            }
        }
        if let ([Value::Array(array)], true) = (results.as_slice(), last)
            && !array.sequence
        {
            return Ok(Value::Array(array.clone()));
        }
        if !results
            .iter()
            .any(|result| matches!(result, Value::Array(_)))
        {
            return Ok(Value::sequence(results));
        }
        let mut flat = Vec::with_capacity(results.len());
        for result in results {
            match result {
                Value::Array(array) if !array.constructed => {
                    self.spend_items(array.items().len())?;
                    flat.extend_from_slice(array.items());
                }
                other => flat.push(other),
            }
        }
        Ok(Value::sequence(flat))
    }

    /// What follows a step in brackets.
    fn stages(
        &mut self,
        stages: &[Stage],
        mut result: Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        for stage in stages {
            match stage {
                Stage::Filter(filter) => result = self.filter(filter, result, frame)?,
                Stage::Index(name) => {
                    if let Value::Tuples(tuples) = &mut result {
                        self.spend_items(tuples.len())?;
                        for (index, tuple) in Arc::make_mut(tuples).iter_mut().enumerate() {
                            tuple.bindings.insert(name.clone(), index.into());
                        }
                    }
                }
            }
        }
        Ok(result)
    }

    /// Applies a step to each context with what was bound for it.
    fn tuple_step(
        &mut self,
        step: &Node,
        input: &Value,
        tuples: Option<Vec<Tuple>>,
        frame: FrameId,
    ) -> Result<Vec<Tuple>, Error> {
        let mut results = Vec::new();
        if let Kind::Sort(terms) = &step.kind {
            results = match tuples {
                Some(tuples) => self.sort_tuples(terms, tuples, step.at, frame)?,
                None => {
                    let sorted = self.sort_values(terms, input, step.at, frame)?;
                    let items = sorted.as_items().iter().enumerate();
                    let tuple = |(index, item): (usize, &Value)| {
                        let mut tuple = Tuple::new(item.clone());
                        tuple.bind(step.index.as_ref(), index.into());
                        tuple
                    };
                    items.map(tuple).collect()
                }
            };
        } else {
            let tuples = tuples.unwrap_or_else(|| {
                let items = input.as_items().iter();
                items.map(|item| Tuple::new(item.clone())).collect()
            });
            for tuple in tuples {
                let found = self.within(frame, tuple.variables(), |this, frame| {
                    this.evaluate(step, &tuple.context, frame)
                })?;
                self.extend_tuple(step, &tuple, &found, &mut results)?;
            }
        }
        if step.stages.is_empty() {
            return Ok(results);
        }
        match self.stages(&step.stages, Value::Tuples(Arc::new(results)), frame)? {
            Value::Tuples(tuples) => Ok(Arc::unwrap_or_clone(tuples)),
            _ => Ok(Vec::new()),
        }
    }

    /// What a step found for a tuple, as tuples.
    fn extend_tuple(
        &mut self,
        step: &Node,
        tuple: &Tuple,
        found: &Value,
        results: &mut Vec<Tuple>,
    ) -> Result<(), Error> {
        let weight = 1 + tuple.bindings.len();
        if let Value::Tuples(inner) = found {
            self.spend_items(inner.len() * weight * 2)?;
            for inner in inner.iter() {
                let mut next = tuple.clone();
                next.context = inner.context.clone();
                next.bindings.extend(inner.bindings.clone());
                results.push(next);
            }
            return Ok(());
        }
        if found.is_undefined() {
            return Ok(());
        }
        self.spend_items(found.as_items().len() * weight * 2)?;
        for (index, item) in found.as_items().iter().enumerate() {
            let mut next = tuple.clone();
            match &step.focus {
                Some(focus) => next.bind(Some(focus), item.clone()),
                None => next.context = item.clone(),
            }
            next.bind(step.index.as_ref(), index.into());
            if let Some(slot) = step.ancestor {
                let label = self.labels.get(slot).cloned();
                next.bind(label.as_ref(), tuple.context.clone());
            }
            results.push(next);
        }
        Ok(())
    }

    /// Keeps what a filter selects: by truth, or by position.
    pub(super) fn filter(
        &mut self,
        filter: &Node,
        input: Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        if let Value::Tuples(tuples) = &input {
            let mut kept = Vec::new();
            let count = tuples.len();
            for (index, tuple) in tuples.iter().enumerate() {
                let found = match filter.kind {
                    Kind::Number(number) => Value::Number(number),
                    _ => self.within(frame, tuple.variables(), |this, frame| {
                        this.evaluate(filter, &tuple.context, frame)
                    })?,
                };
                for _ in 0..self.selects(&found, index, count)? {
                    kept.push(tuple.clone());
                }
            }
            return Ok(Value::Tuples(Arc::new(kept)));
        }
        let alone;
        let items = match &input {
            Value::Array(array) => array.items(),
            other => {
                alone = [other.clone()];
                &alone
            }
        };
        if let Kind::Number(number) = filter.kind {
            return Ok(
                match position(number, items.len()).and_then(|at| items.get(at)) {
                    None | Some(Value::Undefined) => Value::sequence(Vec::new()),
                    Some(array @ Value::Array(_)) => array.clone(),
                    Some(item) => Value::sequence(vec![item.clone()]),
                },
            );
        }
        let mut kept = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let found = self.evaluate(filter, item, frame)?;
            for _ in 0..self.selects(&found, index, items.len())? {
                kept.push(item.clone());
            }
        }
        Ok(Value::sequence(kept))
    }

    /// How often what a filter gave selects the value at an index.
    fn selects(&mut self, found: &Value, index: usize, count: usize) -> Result<usize, Error> {
        if let Some(number) = found.as_number()? {
            return Ok(usize::from(position(number, count) == Some(index)));
        }
        if let Value::Array(array) = found {
            self.spend_items(array.items().len())?;
            let mut positions = Vec::new();
            for item in array.items() {
                match item.as_number()? {
                    Some(number) => positions.push(position(number, count)),
                    None => return Ok(usize::from(found.is_true()?)),
                }
            }
            return Ok(positions.iter().filter(|at| **at == Some(index)).count());
        }
        Ok(usize::from(found.is_true()?))
    }
}

/// The index that a number means: from the end if it is negative.
fn position(number: f64, count: usize) -> Option<usize> {
    let at = number.floor();
    let at = if at < 0.0 { count as f64 + at } else { at };
    (at >= 0.0 && at < count as f64).then_some(at as usize)
}

impl Tuple {
    fn new(context: Value) -> Tuple {
        Tuple {
            context,
            bindings: Fields::new(),
        }
    }

    fn bind(&mut self, name: Option<&Name>, value: Value) {
        if let Some(name) = name {
            self.bindings.insert(name.clone(), value);
        }
    }

    /// What is bound, as variables.
    pub(super) fn variables(&self) -> Vec<(Name, Value)> {
        let bindings = self.bindings.iter();
        bindings
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}
