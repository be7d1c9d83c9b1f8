//! Owns the signatures of functions: which arguments they take, and which are taken from the context.
//!
//! <https://docs.jsonata.org/programming#function-signatures>

use std::collections::HashSet;

use super::error::Error;
use super::value::Value;

/// How many parameters and arguments were left where nothing fitted.
type Dead = HashSet<(usize, usize)>;

/// A parsed signature.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    parameters: Vec<Parameter>,
}

#[derive(Debug, Clone, Default)]
struct Parameter {
    /// The symbols it takes; `m` stands for a missing value.
    symbols: String,
    is_array: bool,
    /// The symbol that an array's elements must have.
    element: Option<char>,
    /// Nothing need be given.
    optional: bool,
    /// Any number may be given.
    many: bool,
    /// The context is taken if nothing is given.
    context: bool,
}

/// Limit for the number of parameters in a signature.
const PARAMETERS_MAX: usize = 64;

/// The symbol of a value's type.
fn symbol(value: &Value) -> char {
    match value {
        Value::Undefined | Value::Tail(_) => 'm',
        Value::Null => 'l',
        Value::Bool(_) => 'b',
        Value::Number(_) | Value::Integer(_) => 'n',
        Value::Text(_) => 's',
        Value::Array(_) | Value::Tuples(_) => 'a',
        Value::Object(_) => 'o',
        Value::Function(_) => 'f',
    }
}

fn element_name(symbol: char) -> &'static str {
    match symbol {
        'a' => "arrays",
        'b' => "booleans",
        'f' => "functions",
        'n' => "numbers",
        'o' => "objects",
        _ => "strings",
    }
}

impl Signature {
    /// Parses a signature such as `<s-nn?:s>`.
    pub(super) fn parse(text: &str) -> Result<Signature, Error> {
        let chars: Vec<char> = text.chars().collect();
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut at = 1;
        while at < chars.len() && chars[at] != ':' {
            if parameters.len() > PARAMETERS_MAX {
                let message = format!("A function has at most {PARAMETERS_MAX} parameters");
                return Err(Error::new("S0500", message));
            }
            match chars[at] {
                c @ ('s' | 'n' | 'b' | 'l' | 'o') => parameters.push(Parameter {
                    symbols: format!("{c}m"),
                    ..Parameter::default()
                }),
                c @ ('a' | 'x') => parameters.push(Parameter {
                    symbols: "asnblfom".to_owned(),
                    is_array: c == 'a',
                    ..Parameter::default()
                }),
                'f' => parameters.push(Parameter {
                    symbols: "f".to_owned(),
                    ..Parameter::default()
                }),
                'j' => parameters.push(Parameter {
                    symbols: "asnblom".to_owned(),
                    ..Parameter::default()
                }),
                '(' => {
                    let end = closing(&chars, at, '(', ')');
                    let choice: String = chars[at + 1..end.min(chars.len())].iter().collect();
                    if choice.contains('<') {
                        let message =
                            "Choice groups containing parameterized types are not supported";
                        return Err(Error::new("S0402", message));
                    }
                    parameters.push(Parameter {
                        symbols: choice + "m",
                        ..Parameter::default()
                    });
                    at = end;
                }
                '<' => {
                    let end = closing(&chars, at, '<', '>');
                    let last = parameters
                        .last_mut()
                        .filter(|last| last.is_array || last.symbols == "f");
                    let Some(last) = last else {
                        let message = "Type parameters can only be applied to functions and arrays";
                        return Err(Error::new("S0401", message));
                    };
                    if last.is_array {
                        last.element = chars.get(at + 1).copied();
                    }
                    at = end;
                }
                c @ ('-' | '?' | '+') => {
                    if let Some(last) = parameters.last_mut() {
                        last.context |= c == '-';
                        last.optional |= c != '+';
                        last.many |= c == '+';
                    }
                }
                _ => {}
            }
            at += 1;
        }
        Ok(Signature { parameters })
    }

    /// The arguments as the function shall see them.
    pub(super) fn check(
        &self,
        arguments: Vec<Value>,
        context: &Value,
        function: &str,
    ) -> Result<Vec<Value>, Error> {
        let symbols: Vec<char> = arguments.iter().map(symbol).collect();
        let mut counts = Vec::with_capacity(self.parameters.len());
        if !self.fit(&symbols, &mut counts, &mut Dead::new()) {
            let index = self.first_wrong(&symbols) + 1;
            let message = format!(
                "Argument {index} of function {function:?} does not match function signature"
            );
            return Err(Error::new("T0410", message));
        }
        let mut arguments = arguments.into_iter().fuse();
        let mut checked = Vec::with_capacity(self.parameters.len());
        let mut index = 0;
        for (parameter, count) in self.parameters.iter().zip(counts) {
            if count == 0 {
                if !parameter.context {
                    // The reference implementation takes the next argument all the same.
                    index += 1;
                    checked.push(arguments.next().unwrap_or(Value::Undefined));
                } else if parameter.symbols.contains(symbol(context)) {
                    checked.push(context.clone());
                } else {
                    let message = format!(
                        "Context value is not a compatible type with argument {} of function {function:?}",
                        index + 1
                    );
                    return Err(Error::new("T0411", message));
                }
            }
            for argument in arguments.by_ref().take(count) {
                index += 1;
                checked.push(match parameter.is_array {
                    true => parameter.as_array(argument, index, function)?,
                    false => argument,
                });
            }
        }
        Ok(checked)
    }

    /// How many arguments each parameter takes, as many as possible from the left. `dead` remembers
    /// what was tried in vain.
    fn fit(&self, symbols: &[char], counts: &mut Vec<usize>, dead: &mut Dead) -> bool {
        let Some(parameter) = self.parameters.get(counts.len()) else {
            return symbols.is_empty();
        };
        let here = (counts.len(), symbols.len());
        if dead.contains(&here) {
            return false;
        }
        let fitting = symbols
            .iter()
            .take_while(|symbol| parameter.symbols.contains(**symbol))
            .count();
        let most = if parameter.many {
            fitting
        } else {
            fitting.min(1)
        };
        let least = usize::from(!parameter.optional);
        for count in (least..=most).rev() {
            counts.push(count);
            if self.fit(&symbols[count..], counts, dead) {
                return true;
            }
            counts.pop();
        }
        dead.insert(here);
        false
    }

    /// The index of the first argument that no way of fitting reaches.
    fn first_wrong(&self, symbols: &[char]) -> usize {
        let mut good = 0;
        for parameter in &self.parameters {
            match symbols.get(good) {
                Some(symbol) if parameter.symbols.contains(*symbol) => good += 1,
                _ if parameter.optional => {}
                _ => return good,
            }
        }
        good
    }
}

impl Parameter {
    fn as_array(&self, argument: Value, index: usize, function: &str) -> Result<Value, Error> {
        if matches!(argument, Value::Undefined) {
            return Ok(argument);
        }
        if let Some(element) = self.element {
            let fits = match &argument {
                Value::Array(array) => array.items().iter().all(|item| symbol(item) == element),
                other => symbol(other) == element,
            };
            if !fits {
                let kind = element_name(element);
                let message =
                    format!("Argument {index} of function {function:?} must be an array of {kind}");
                return Err(Error::new("T0412", message));
            }
        }
        Ok(match argument {
            Value::Array(_) | Value::Tuples(_) => argument,
            other => Value::array(vec![other]),
        })
    }
}

fn closing(chars: &[char], start: usize, open: char, close: char) -> usize {
    let mut depth = 1;
    let mut at = start;
    while at + 1 < chars.len() {
        at += 1;
        if chars[at] == close {
            depth -= 1;
            if depth == 0 {
                break;
            }
        } else if chars[at] == open {
            depth += 1;
        }
    }
    at
}
