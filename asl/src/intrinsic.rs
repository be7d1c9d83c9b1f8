//! Owns the reading of intrinsic function calls such as `States.Format('{}', $.name)`.
//!
//! What the functions do is in [`functions`].
//! <https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html>

use serde_json::Value;

use crate::context::Scene;
use crate::measure::{MADE_MAX, weight};
use crate::path::Path;
use crate::template::{InvalidExpression, Trouble};

mod functions;

pub(crate) use functions::hash;
#[cfg(test)]
mod tests;

use functions::Function;

/// A parsed call.
#[derive(Debug, Clone)]
pub struct Call {
    text: String,
    function: Function,
    arguments: Vec<Argument>,
}

#[derive(Debug, Clone)]
enum Argument {
    Literal(Value),
    Path(Path),
    Call(Call),
}

/// Calls may be nested this deep; AWS documents 10.
const DEPTH_MAX: usize = 10;

impl Call {
    /// Parses a call; the whole text must be one.
    pub fn parse(text: &str) -> Result<Call, InvalidExpression> {
        let mut scanner = Scanner { text, at: 0 };
        let call = scanner.call(0).and_then(|call| {
            scanner.space();
            if scanner.at == text.len() {
                Ok(call)
            } else {
                Err(format!("unexpected '{}'", scanner.rest()))
            }
        });
        call.map_err(|reason| {
            InvalidExpression(format!(
                "'{text}' is not a valid intrinsic function: {reason}"
            ))
        })
    }

    /// Its value.
    pub fn evaluate(&self, scene: &mut Scene<'_>) -> Result<Value, Trouble> {
        let mut values = Vec::with_capacity(self.arguments.len());
        let mut made = 0;
        for argument in &self.arguments {
            let value = match argument {
                Argument::Literal(value) => value.clone(),
                Argument::Path(path) => {
                    scene.find(path).ok_or_else(|| Trouble::MissingArgument {
                        call: self.text.clone(),
                        path: path.as_str().to_owned(),
                    })?
                }
                Argument::Call(call) => call.evaluate(scene)?,
            };
            made += weight(&value, MADE_MAX);
            if made > MADE_MAX {
                return Err(Trouble::TooLarge);
            }
            values.push(value);
        }
        let value = self.function.call(values, scene.random);
        value.map_err(|reason| Trouble::Function {
            call: self.text.clone(),
            reason,
        })
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, expected: char) -> bool {
        let eaten = self.rest().starts_with(expected);
        if eaten {
            self.at += expected.len_utf8();
        }
        eaten
    }

    fn call(&mut self, depth: usize) -> Result<Call, String> {
        if depth >= DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} functions inside each other"));
        }
        let start = self.at;
        let open = self.rest().find('(').ok_or("( is missing")?;
        let name = self.rest()[..open].trim();
        let function =
            Function::named(name).ok_or_else(|| format!("there is no function {name}"))?;
        self.at += open + 1;
        let mut arguments = Vec::new();
        self.space();
        if !self.eat(')') {
            loop {
                self.space();
                arguments.push(self.argument(depth)?);
                self.space();
                if self.eat(')') {
                    break;
                }
                if !self.eat(',') {
                    return Err(format!("expected , or ) at '{}'", self.rest()));
                }
            }
        }
        let text = self.text[start..self.at].to_owned();
        function.check_arity(arguments.len())?;
        for (index, argument) in arguments.iter().enumerate() {
            if let Argument::Literal(value) = argument
                && function.wants_number(index)
                && !value.is_number()
            {
                return Err(format!(
                    "argument {} must be a number, not {value}",
                    index + 1
                ));
            }
        }
        Ok(Call {
            text,
            function,
            arguments,
        })
    }

    fn argument(&mut self, depth: usize) -> Result<Argument, String> {
        let rest = self.rest();
        if rest.starts_with('\'') {
            return self
                .string()
                .map(|text| Argument::Literal(Value::String(text)));
        }
        if rest.starts_with("States.") {
            return self.call(depth + 1).map(Argument::Call);
        }
        let word = &rest[..word_length(rest)];
        if word.is_empty() {
            return Err("an argument is missing".to_owned());
        }
        self.at += word.len();
        let word = word.trim_end();
        if word.starts_with('$') {
            return Path::parse(word)
                .map(Argument::Path)
                .map_err(|error| error.to_string());
        }
        match serde_json::from_str::<Value>(word) {
            Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => {
                Ok(Argument::Literal(value))
            }
            _ => Err(format!(
                "{word} is neither a path nor a string in ' nor a number nor true, false or null"
            )),
        }
    }

    /// A string in `'`; a backslash takes the next character as it is, save for `{` and `}`, which
    /// `States.Format` must still see as escaped.
    fn string(&mut self) -> Result<String, String> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            match c {
                '\'' => {
                    self.at += at + 1;
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, c @ ('{' | '}'))) => text.extend(['\\', c]),
                    Some((_, c @ ('\'' | '\\'))) => text.push(c),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err("a string is not closed by '".to_owned())
    }
}

/// How long the path or number at the beginning of `rest` is.
fn word_length(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut quote = None;
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') if depth > 0 => quote = Some(c),
            (None, '[' | '(') => depth += 1,
            (None, ']') => depth = depth.saturating_sub(1),
            (None, ')') if depth > 0 => depth -= 1,
            (None, ',' | ')') if depth == 0 => return at,
            _ => {}
        }
    }
    rest.len()
}
