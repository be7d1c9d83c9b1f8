//! Owns sorting: by keys (`^(…)`) and by a comparison (`$sort`), stable, in the order of comparisons
//! of a merge sort.

use super::ast::Term;
use super::error::Error;
use super::evaluate::Evaluator;
use super::frame::FrameId;
use super::operator::shown;
use super::value::{Tuple, Value};

impl Evaluator<'_> {
    pub(super) fn sort_values(
        &mut self,
        terms: &[Term],
        input: &Value,
        at: usize,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let items = input.as_items();
        if items.len() <= 1 {
            return Ok(input.clone());
        }
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            let mut keys = Vec::with_capacity(terms.len());
            for term in terms {
                keys.push(self.evaluate(&term.key, item, frame)?);
            }
            rows.push((keys, item.clone()));
        }
        let sorted = self.sort_rows(terms, rows, at)?;
        Ok(Value::array(sorted))
    }

    pub(super) fn sort_tuples(
        &mut self,
        terms: &[Term],
        tuples: Vec<Tuple>,
        at: usize,
        frame: FrameId,
    ) -> Result<Vec<Tuple>, Error> {
        if tuples.len() <= 1 {
            return Ok(tuples);
        }
        let mut rows = Vec::with_capacity(tuples.len());
        for tuple in tuples {
            let keys = self.within(frame, tuple.variables(), |this, frame| {
                let keys = terms.iter();
                keys.map(|term| this.evaluate(&term.key, &tuple.context, frame))
                    .collect::<Result<Vec<Value>, Error>>()
            })?;
            rows.push((keys, tuple));
        }
        self.sort_rows(terms, rows, at)
    }

    fn sort_rows<T>(
        &mut self,
        terms: &[Term],
        rows: Vec<(Vec<Value>, T)>,
        at: usize,
    ) -> Result<Vec<T>, Error> {
        let sorted = self.merge_sort(rows, &mut |_, (a, _), (b, _)| {
            comes_after(terms, a, b).map_err(|error| error.at(at))
        })?;
        Ok(sorted.into_iter().map(|(_, item)| item).collect())
    }

    /// Sorts; `after` says whether the first belongs behind the second.
    pub(super) fn merge_sort<T>(
        &mut self,
        mut items: Vec<T>,
        after: &mut dyn FnMut(&mut Self, &T, &T) -> Result<bool, Error>,
    ) -> Result<Vec<T>, Error> {
        if items.len() <= 1 {
            return Ok(items);
        }
        let right = items.split_off(items.len() / 2);
        let left = self.merge_sort(items, after)?;
        let right = self.merge_sort(right, after)?;
        self.spend_items(left.len() + right.len())?;
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let next = if after(self, a, b)? {
                right.next()
            } else {
                left.next()
            };
            merged.extend(next);
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }
}

/// Whether the first keys belong behind the second.
fn comes_after(terms: &[Term], a: &[Value], b: &[Value]) -> Result<bool, Error> {
    for ((term, a), b) in terms.iter().zip(a).zip(b) {
        match (a.is_undefined(), b.is_undefined()) {
            (true, true) => continue,
            (true, false) => return Ok(true),
            (false, true) => return Ok(false),
            (false, false) => {}
        }
        let order = match (a, b) {
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Number(_) | Value::Integer(_), Value::Number(_) | Value::Integer(_)) => {
                let (a, b) = (a.as_number()?, b.as_number()?);
                a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal)
            }
            (
                Value::Text(_) | Value::Number(_) | Value::Integer(_),
                Value::Text(_) | Value::Number(_) | Value::Integer(_),
            ) => {
                let message = format!(
                    "Type mismatch when comparing values {} and {} in order-by clause",
                    shown(a)?,
                    shown(b)?
                );
                return Err(Error::new("T2007", message));
            }
            _ => {
                let message = "The expressions within an order-by clause must evaluate to numeric or string values";
                return Err(Error::new("T2008", message));
            }
        };
        if order.is_ne() {
            return Ok(order.is_gt() != term.descending);
        }
    }
    Ok(false)
}
