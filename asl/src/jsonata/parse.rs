//! Owns the grammar: a top-down operator precedence parser (Pratt 1973), as JSONata defines it.
//!
//! Gives a raw tree; [`super::shape`] makes paths of it. <https://docs.jsonata.org/path-operators>

use std::sync::Arc;

use super::error::Error;
use super::regex::Regex;
use super::signature::Signature;
use super::token::{Token, Tokens};

/// A part as it was written.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) kind: RawKind,
    pub(super) at: usize,
    pub(super) keep_array: bool,
    /// How deep the tree below is.
    height: usize,
}

/// What a part was written as.
#[derive(Debug, Clone)]
pub(super) enum RawKind {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Regex(Arc<Regex>),
    Name(String),
    Variable(String),
    Wildcard,
    Descendants,
    Parent,
    Binary(&'static str, Box<Raw>, Box<Raw>),
    Negate(Box<Raw>),
    Array(Vec<Raw>),
    Object(Vec<(Raw, Raw)>),
    Group(Box<Raw>, Vec<(Raw, Raw)>),
    Sort(Box<Raw>, Vec<(bool, Raw)>),
    Condition(Box<Raw>, Box<Raw>, Option<Box<Raw>>),
    Block(Vec<Raw>),
    /// `None` stands for `?`.
    Call(Box<Raw>, Vec<Option<Raw>>),
    Lambda(Vec<String>, Option<Signature>, Box<Raw>),
    Transform(Box<Raw>, Box<Raw>, Option<Box<Raw>>),
}

/// How deep an expression may nest.
const HEIGHT_MAX: usize = 200;

/// How tightly an operator binds what stands before it.
fn power(token: &Token) -> usize {
    let Token::Operator(operator) = token else {
        return 0;
    };
    match *operator {
        "[" | "(" | "@" | "#" => 80,
        "." => 75,
        "{" => 70,
        "*" | "/" | "%" => 60,
        "+" | "-" | "&" => 50,
        "=" | "<" | ">" | "^" | "!=" | "<=" | ">=" | "~>" | "?:" | "??" | "in" => 40,
        "and" => 30,
        "or" => 25,
        "?" => 20,
        ":=" => 10,
        _ => 0,
    }
}

/// Parses an expression.
/// Also gives the first operator in it that came after JSONata 2.0.6.
pub(super) fn parse(source: &str) -> Result<(Raw, Option<&'static str>), Error> {
    let mut parser = Parser {
        tokens: Tokens::new(source),
        token: Token::End,
        at: 0,
        depth: 0,
        newer: None,
    };
    parser.advance(false)?;
    let raw = parser.expression(0)?;
    if !matches!(parser.token, Token::End) {
        return Err(parser.wrong("S0201", "Syntax error"));
    }
    Ok((raw, parser.newer))
}

struct Parser {
    tokens: Tokens,
    /// What comes next, and where.
    token: Token,
    at: usize,
    depth: usize,
    /// The first operator that came after JSONata 2.0.6.
    newer: Option<&'static str>,
}

fn too_deep(at: usize) -> Error {
    let message = format!("The expression nests more than {HEIGHT_MAX} levels deep");
    Error::new("S0500", message).at(at)
}

impl Raw {
    fn new(kind: RawKind, at: usize) -> Result<Raw, Error> {
        let height = 1 + kind.parts().map(|part| part.height).max().unwrap_or(0);
        if height > HEIGHT_MAX {
            return Err(too_deep(at));
        }
        Ok(Raw {
            kind,
            at,
            keep_array: false,
            height,
        })
    }
}

impl RawKind {
    /// What a part is made of.
    fn parts(&self) -> Box<dyn Iterator<Item = &Raw> + '_> {
        match self {
            RawKind::Binary(_, left, right) => Box::new([&**left, &**right].into_iter()),
            RawKind::Negate(part) => Box::new(std::iter::once(&**part)),
            RawKind::Array(parts) | RawKind::Block(parts) => Box::new(parts.iter()),
            RawKind::Object(pairs) => Box::new(pairs.iter().flat_map(|(k, v)| [k, v])),
            RawKind::Group(part, pairs) => {
                let pairs = pairs.iter().flat_map(|(k, v)| [k, v]);
                Box::new(std::iter::once(&**part).chain(pairs))
            }
            RawKind::Sort(part, terms) => {
                let terms = terms.iter().map(|(_, term)| term);
                Box::new(std::iter::once(&**part).chain(terms))
            }
            RawKind::Condition(condition, then, otherwise) => {
                let parts = [&**condition, &**then].into_iter();
                Box::new(parts.chain(otherwise.as_deref()))
            }
            RawKind::Call(procedure, arguments) => {
                Box::new(std::iter::once(&**procedure).chain(arguments.iter().flatten()))
            }
            RawKind::Lambda(_, _, body) => Box::new(std::iter::once(&**body)),
            RawKind::Transform(pattern, update, delete) => {
                let parts = [&**pattern, &**update].into_iter();
                Box::new(parts.chain(delete.as_deref()))
            }
            _ => Box::new(std::iter::empty()),
        }
    }
}

impl Parser {
    fn wrong(&self, code: &'static str, what: &str) -> Error {
        Error::new(code, format!("{what}: {}", self.token.shown())).at(self.at)
    }

    fn advance(&mut self, after_operand: bool) -> Result<(), Error> {
        (self.token, self.at) = self.tokens.next(after_operand)?;
        if let Token::Operator(operator @ ("!" | "~")) = self.token {
            return Err(Error::new("S0204", format!("Unknown operator: {operator:?}")).at(self.at));
        }
        Ok(())
    }

    /// Goes past what must come next.
    fn expect(&mut self, wanted: &str, after_operand: bool) -> Result<(), Error> {
        if !self.token.is(wanted) {
            return Err(match self.token {
                Token::End => {
                    let message = format!("Expected {wanted:?} before end of expression");
                    Error::new("S0203", message).at(self.tokens.length())
                }
                _ => {
                    let got = self.token.shown();
                    Error::new("S0202", format!("Expected {wanted:?}, got {got}")).at(self.at)
                }
            });
        }
        self.advance(after_operand)
    }

    /// Reads what binds more tightly than `least`.
    fn expression(&mut self, least: usize) -> Result<Raw, Error> {
        self.depth += 1;
        if self.depth > HEIGHT_MAX {
            return Err(too_deep(self.at));
        }
        let (token, at) = (std::mem::replace(&mut self.token, Token::End), self.at);
        self.advance(true)?;
        let mut left = self.begin(token, at)?;
        while least < power(&self.token) {
            let (token, at) = (std::mem::replace(&mut self.token, Token::End), self.at);
            self.advance(false)?;
            left = self.go_on(left, token, at)?;
        }
        self.depth -= 1;
        Ok(left)
    }

    fn boxed(&mut self, least: usize) -> Result<Box<Raw>, Error> {
        self.expression(least).map(Box::new)
    }

    /// Reads what begins with a token.
    fn begin(&mut self, token: Token, at: usize) -> Result<Raw, Error> {
        let kind = match token {
            Token::Name(name) => RawKind::Name(name),
            Token::Variable(name) => RawKind::Variable(name),
            Token::Text(text) => RawKind::Text(text),
            Token::Number(number) => RawKind::Number(number),
            Token::Bool(value) => RawKind::Bool(value),
            Token::Null => RawKind::Null,
            Token::Regex(regex) => RawKind::Regex(regex),
            Token::End => return Err(Error::new("S0207", "Unexpected end of expression").at(at)),
            Token::Operator(operator) => match operator {
                "and" | "or" | "in" => RawKind::Name(operator.to_owned()),
                "-" => RawKind::Negate(self.boxed(70)?),
                "*" => RawKind::Wildcard,
                "**" => RawKind::Descendants,
                "%" => RawKind::Parent,
                "(" => RawKind::Block(self.block()?),
                "[" => RawKind::Array(self.array()?),
                "{" => RawKind::Object(self.pairs()?),
                "|" => self.transform()?,
                other => {
                    let message =
                        format!("The symbol {other:?} cannot be used as a unary operator");
                    return Err(Error::new("S0211", message).at(at));
                }
            },
        };
        Raw::new(kind, at)
    }

    /// Reads what follows an operand.
    fn go_on(&mut self, left: Raw, token: Token, at: usize) -> Result<Raw, Error> {
        let Token::Operator(operator) = token else {
            return Err(Error::new("S0201", format!("Syntax error: {}", token.shown())).at(at));
        };
        if let "??" | "?:" = operator {
            self.newer.get_or_insert(operator);
        }
        let kind = match operator {
            "(" => self.call(left)?,
            "[" if self.token.is("]") => {
                self.advance(true)?;
                return Ok(keep_array(left));
            }
            "[" => {
                let filter = self.boxed(0)?;
                self.expect("]", true)?;
                RawKind::Binary("[", Box::new(left), filter)
            }
            "{" => RawKind::Group(Box::new(left), self.pairs()?),
            "^" => RawKind::Sort(Box::new(left), self.terms()?),
            ":=" => {
                if !matches!(left.kind, RawKind::Variable(_)) {
                    let message = "The left side of := must be a variable name (start with $)";
                    return Err(Error::new("S0212", message).at(left.at));
                }
                // One less than its own: it groups from the right.
                RawKind::Binary(operator, Box::new(left), self.boxed(9)?)
            }
            "@" | "#" => {
                let right = self.boxed(80)?;
                if !matches!(right.kind, RawKind::Variable(_)) {
                    let message = format!(
                        "The right side of {operator:?} must be a variable name (start with $)"
                    );
                    return Err(Error::new("S0214", message).at(right.at));
                }
                RawKind::Binary(operator, Box::new(left), right)
            }
            "?" => {
                let then = self.boxed(0)?;
                let mut otherwise = None;
                if self.token.is(":") {
                    self.advance(false)?;
                    otherwise = Some(self.boxed(0)?);
                }
                RawKind::Condition(Box::new(left), then, otherwise)
            }
            "?:" => {
                let condition = Box::new(left.clone());
                RawKind::Condition(condition, Box::new(left), Some(self.boxed(0)?))
            }
            "??" => {
                let exists = Raw::new(RawKind::Variable("exists".to_owned()), at)?;
                let call = RawKind::Call(Box::new(exists), vec![Some(left.clone())]);
                let condition = Box::new(Raw::new(call, at)?);
                RawKind::Condition(condition, Box::new(left), Some(self.boxed(0)?))
            }
            _ => {
                let right = self.boxed(power(&token))?;
                RawKind::Binary(operator, Box::new(left), right)
            }
        };
        Raw::new(kind, at)
    }

    /// A list up to a closing token.
    fn list<T>(
        &mut self,
        close: &str,
        separator: &str,
        mut element: impl FnMut(&mut Parser) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut list = Vec::new();
        if !self.token.is(close) {
            loop {
                list.push(element(self)?);
                if !self.token.is(separator) {
                    break;
                }
                self.advance(false)?;
            }
        }
        self.expect(close, true)?;
        Ok(list)
    }

    fn block(&mut self) -> Result<Vec<Raw>, Error> {
        let mut parts = Vec::new();
        while !self.token.is(")") {
            parts.push(self.expression(0)?);
            if !self.token.is(";") {
                break;
            }
            self.advance(false)?;
        }
        self.expect(")", true)?;
        Ok(parts)
    }

    fn array(&mut self) -> Result<Vec<Raw>, Error> {
        self.list("]", ",", |this| {
            let item = this.expression(0)?;
            if !this.token.is("..") {
                return Ok(item);
            }
            let at = this.at;
            this.advance(false)?;
            let end = this.boxed(0)?;
            Raw::new(RawKind::Binary("..", Box::new(item), end), at)
        })
    }

    fn pairs(&mut self) -> Result<Vec<(Raw, Raw)>, Error> {
        self.list("}", ",", |this| {
            let name = this.expression(0)?;
            this.expect(":", false)?;
            Ok((name, this.expression(0)?))
        })
    }

    fn terms(&mut self) -> Result<Vec<(bool, Raw)>, Error> {
        self.expect("(", false)?;
        let mut terms = Vec::new();
        loop {
            let descending = self.token.is(">");
            if descending || self.token.is("<") {
                self.advance(false)?;
            }
            terms.push((descending, self.expression(0)?));
            if !self.token.is(",") {
                break;
            }
            self.advance(false)?;
        }
        self.expect(")", true)?;
        Ok(terms)
    }

    fn transform(&mut self) -> Result<RawKind, Error> {
        // What was read after the first `|` was read as if an operand had come before.
        let pattern = self.boxed(0)?;
        self.expect("|", false)?;
        let update = self.boxed(0)?;
        let mut delete = None;
        if self.token.is(",") {
            self.advance(false)?;
            delete = Some(self.boxed(0)?);
        }
        self.expect("|", true)?;
        Ok(RawKind::Transform(pattern, update, delete))
    }

    fn call(&mut self, procedure: Raw) -> Result<RawKind, Error> {
        let arguments = self.list(")", ",", |this| {
            if this.token.is("?") {
                this.advance(false)?;
                return Ok(None);
            }
            this.expression(0).map(Some)
        })?;
        match &procedure.kind {
            RawKind::Name(name) if name == "function" || name == "λ" => self.lambda(&arguments),
            _ => Ok(RawKind::Call(Box::new(procedure), arguments)),
        }
    }

    fn lambda(&mut self, arguments: &[Option<Raw>]) -> Result<RawKind, Error> {
        let mut parameters = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            match argument {
                Some(Raw {
                    kind: RawKind::Variable(name),
                    ..
                }) => parameters.push(name.clone()),
                other => {
                    let at = other.as_ref().map_or(self.at, |argument| argument.at);
                    let message = format!(
                        "Parameter {} of function definition must be a variable name (start with $)",
                        index + 1
                    );
                    return Err(Error::new("S0208", message).at(at));
                }
            }
        }
        let mut signature = None;
        if self.token.is("<") {
            let at = self.at;
            signature = Some(self.signature().map_err(|error| error.at(at))?);
        }
        self.expect("{", false)?;
        let body = self.boxed(0)?;
        self.expect("}", true)?;
        Ok(RawKind::Lambda(parameters, signature, body))
    }

    /// A signature is written with the tokens of expressions; its text is put together again.
    fn signature(&mut self) -> Result<Signature, Error> {
        let (mut text, mut depth) = (String::from("<"), 1);
        while depth > 0 && !self.token.is("{") && !matches!(self.token, Token::End) {
            self.advance(true)?;
            match &self.token {
                Token::Operator(operator) => {
                    depth += match *operator {
                        "<" => 1,
                        ">" => -1,
                        _ => 0,
                    };
                    text.push_str(operator);
                }
                Token::Name(name) => text.push_str(name),
                _ => {}
            }
        }
        self.expect(">", true)?;
        Signature::parse(&text)
    }
}

/// Marks what brackets without content follow, below the brackets with content.
fn keep_array(mut raw: Raw) -> Raw {
    let mut step = &mut raw;
    while matches!(step.kind, RawKind::Binary("[", ..)) {
        match &mut step.kind {
            RawKind::Binary(_, left, _) => step = left,
            _ => break,
        }
    }
    step.keep_array = true;
    raw
}
