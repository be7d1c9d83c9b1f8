//! Owns the operators between values. <https://docs.jsonata.org/numeric-operators>

use super::ast::{Node, Operator};
use super::error::Error;
use super::evaluate::Evaluator;
use super::frame::FrameId;
use super::text::text_of;
use super::value::Value;

/// JSONata's limit for the length of a range.
const RANGE_MAX: f64 = 1e7;

impl Evaluator<'_> {
    pub(super) fn binary(
        &mut self,
        operator: Operator,
        left: &Node,
        right: &Node,
        at: usize,
        input: &Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let left = self.evaluate(left, input, frame)?;
        if matches!(operator, Operator::And | Operator::Or) {
            let decided = left.is_true().map_err(|error| error.at(at))?;
            if decided == (operator == Operator::Or) {
                return Ok(decided.into());
            }
            let right = self.evaluate(right, input, frame)?;
            return Ok(right.is_true().map_err(|error| error.at(at))?.into());
        }
        let right = self.evaluate(right, input, frame)?;
        self.combine(operator, &left, &right)
            .map_err(|error| error.at(at))
    }

    fn combine(&mut self, operator: Operator, a: &Value, b: &Value) -> Result<Value, Error> {
        match operator {
            Operator::Equal | Operator::NotEqual => {
                if a.is_undefined() || b.is_undefined() {
                    return Ok(false.into());
                }
                self.spend_weight(a)?;
                Ok((a.equals(b) == (operator == Operator::Equal)).into())
            }
            Operator::Less
            | Operator::LessOrEqual
            | Operator::Greater
            | Operator::GreaterOrEqual => compare(operator, a, b),
            Operator::Concatenate => {
                let (a, b) = (self.string(a)?, self.string(b)?);
                self.spend_bytes(a.len() + b.len())?;
                Ok(format!("{a}{b}").into())
            }
            Operator::Range => self.range(a, b),
            Operator::In => {
                if a.is_undefined() || b.is_undefined() {
                    return Ok(false.into());
                }
                self.spend_items(b.as_items().len())?;
                let simple = !matches!(a, Value::Array(_) | Value::Object(_));
                Ok((simple && b.as_items().iter().any(|item| item.equals(a))).into())
            }
            _ => calculate(operator, a, b),
        }
    }

    /// A value as text; nothing is the empty text.
    fn string(&mut self, value: &Value) -> Result<String, Error> {
        if value.is_undefined() {
            return Ok(String::new());
        }
        self.spend_weight(value)?;
        text_of(value, false)
    }

    fn range(&mut self, a: &Value, b: &Value) -> Result<Value, Error> {
        let whole = |value: &Value, code: &'static str, side: &str| {
            let number = match value.as_number()? {
                Some(number) if number.fract() == 0.0 => Some(number),
                None if value.is_undefined() => None,
                _ => {
                    let message = format!(
                        "The {side} side of the range operator (..) must evaluate to an integer"
                    );
                    return Err(Error::new(code, message));
                }
            };
            Ok(number)
        };
        let (a, b) = (whole(a, "T2003", "left")?, whole(b, "T2004", "right")?);
        let (Some(a), Some(b)) = (a, b) else {
            return Ok(Value::Undefined);
        };
        if a > b {
            return Ok(Value::Undefined);
        }
        let size = b - a + 1.0;
        if size > RANGE_MAX {
            let message = format!(
                "The size of the sequence allocated by the range operator (..) must not exceed 1e7. Attempted to allocate {size}."
            );
            return Err(Error::new("D2014", message));
        }
        self.spend_items(size as usize)?;
        let items = (0..size as usize).map(|offset| Value::Number(a + offset as f64));
        Ok(Value::sequence(items.collect()))
    }

    pub(super) fn negate(
        &mut self,
        inner: &Node,
        at: usize,
        input: &Value,
        frame: FrameId,
    ) -> Result<Value, Error> {
        let value = self.evaluate(inner, input, frame)?;
        if value.is_undefined() {
            return Ok(value);
        }
        match value.as_number()? {
            Some(number) => Ok((-number).into()),
            None => {
                let shown = text_of(&value, false)?;
                let message = format!("Cannot negate a non-numeric value: {shown}");
                Err(Error::new("D1002", message).at(at))
            }
        }
    }
}

fn calculate(operator: Operator, a: &Value, b: &Value) -> Result<Value, Error> {
    let number = |value: &Value, code: &'static str, side: &str| match value.as_number()? {
        None if !value.is_undefined() => {
            let message = format!(
                "The {side} side of the {:?} operator must evaluate to a number",
                operator.as_str()
            );
            Err(Error::new(code, message))
        }
        number => Ok(number),
    };
    let (a, b) = (number(a, "T2001", "left")?, number(b, "T2002", "right")?);
    let (Some(a), Some(b)) = (a, b) else {
        return Ok(Value::Undefined);
    };
    Ok(Value::Number(match operator {
        Operator::Add => a + b,
        Operator::Subtract => a - b,
        Operator::Multiply => a * b,
        Operator::Divide => a / b,
        _ => a % b,
    }))
}

fn compare(operator: Operator, a: &Value, b: &Value) -> Result<Value, Error> {
    let comparable = |value: &Value| {
        matches!(
            value,
            Value::Undefined | Value::Number(_) | Value::Integer(_) | Value::Text(_)
        )
    };
    if !comparable(a) || !comparable(b) {
        let message = format!(
            "The expressions either side of operator {:?} must evaluate to numeric or string values",
            operator.as_str()
        );
        return Err(Error::new("T2010", message));
    }
    let order = match (a, b) {
        (Value::Undefined, _) | (_, Value::Undefined) => return Ok(Value::Undefined),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        (Value::Text(_), _) | (_, Value::Text(_)) => {
            let message = format!(
                "The values {} and {} either side of operator {:?} must be of the same data type",
                shown(a)?,
                shown(b)?,
                operator.as_str()
            );
            return Err(Error::new("T2009", message));
        }
        (Value::Integer(a), Value::Integer(b)) => Some(a.cmp(b)),
        _ => match (a.as_number()?, b.as_number()?) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => None,
        },
    };
    Ok(order
        .is_some_and(|order| match operator {
            Operator::Less => order.is_lt(),
            Operator::LessOrEqual => order.is_le(),
            Operator::Greater => order.is_gt(),
            _ => order.is_ge(),
        })
        .into())
}

/// A simple value as messages show it.
pub(super) fn shown(value: &Value) -> Result<String, Error> {
    match value {
        Value::Text(text) => Ok(format!("{:?}", &**text)),
        other => text_of(other, false),
    }
}
