//! Owns the tree of an expression, ready for evaluation: paths are flat lists of steps, and each
//! reference to a parent (`%`) knows which step leaves it behind.

use std::sync::Arc;

use super::regex::Regex;
use super::signature::Signature;

/// A name, shared between the tree and the values made from it.
pub(super) type Name = Arc<str>;

/// A part of an expression.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Where it begins in the source, in characters.
    pub(super) at: usize,
    /// `[]` follows: a single result stays an array.
    pub(super) keep_array: bool,
    /// What follows in brackets, if it is no step of a path.
    pub(super) predicates: Vec<Stage>,
    /// What follows in brackets, if it is a step of a path.
    pub(super) stages: Vec<Stage>,
    /// What follows in braces.
    pub(super) group: Option<Vec<(Node, Node)>>,
    /// An array constructor at an end of a path: its result is not flattened.
    pub(super) constructs: bool,
    /// `@$name`.
    pub(super) focus: Option<Name>,
    /// `#$name`.
    pub(super) index: Option<Name>,
    /// The step carries bindings along.
    pub(super) tuple: bool,
    /// The slot under which the step leaves its context behind for `%`.
    pub(super) ancestor: Option<usize>,
    /// Slots of `%` that no step inside fills. Empty once the tree is finished.
    pub(super) seeking: Vec<usize>,
}

/// What a part is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    Number(f64),
    Text(Name),
    Regex(Arc<Regex>),
    Name(Name),
    /// Empty for `$`.
    Variable(Name),
    Wildcard,
    Descendants,
    /// `%`, with its slot.
    Parent(usize),
    Path {
        steps: Vec<Node>,
        keep_singleton: bool,
    },
    Binary(Operator, Box<Node>, Box<Node>),
    Negate(Box<Node>),
    Array(Vec<Node>),
    Object(Vec<(Node, Node)>),
    Condition {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Option<Box<Node>>,
    },
    Block(Vec<Node>),
    Bind(Name, Box<Node>),
    Call {
        procedure: Box<Node>,
        arguments: Vec<Node>,
        /// The last thing a function does: it is left before the call.
        tail: bool,
    },
    /// A call in which `None` stands for `?`.
    Partial {
        procedure: Box<Node>,
        arguments: Vec<Option<Node>>,
    },
    Lambda(Arc<Lambda>),
    /// `~>`
    Apply(Box<Node>, Box<Node>),
    Transform(Arc<Transform>),
    /// `^(…)`, only as a step.
    Sort(Vec<Term>),
}

/// A function written in the expression.
#[derive(Debug, Clone)]
pub(super) struct Lambda {
    pub(super) parameters: Vec<Name>,
    pub(super) signature: Option<Signature>,
    pub(super) body: Node,
}

/// `|pattern|update,delete|`
#[derive(Debug, Clone)]
pub(super) struct Transform {
    pub(super) pattern: Node,
    pub(super) update: Node,
    pub(super) delete: Option<Node>,
}

/// What follows a step in brackets, or after `#`.
#[derive(Debug, Clone)]
pub(super) enum Stage {
    Filter(Node),
    Index(Name),
}

/// One of the keys to sort by.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) descending: bool,
    pub(super) key: Node,
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Concatenate,
    Range,
    In,
    And,
    Or,
}

impl Operator {
    const ALL: [(Operator, &'static str); 16] = [
        (Operator::Add, "+"),
        (Operator::Subtract, "-"),
        (Operator::Multiply, "*"),
        (Operator::Divide, "/"),
        (Operator::Remainder, "%"),
        (Operator::Equal, "="),
        (Operator::NotEqual, "!="),
        (Operator::Less, "<"),
        (Operator::LessOrEqual, "<="),
        (Operator::Greater, ">"),
        (Operator::GreaterOrEqual, ">="),
        (Operator::Concatenate, "&"),
        (Operator::Range, ".."),
        (Operator::In, "in"),
        (Operator::And, "and"),
        (Operator::Or, "or"),
    ];

    /// As it is written.
    pub(super) fn as_str(self) -> &'static str {
        Operator::ALL[self as usize].1
    }

    /// Reads [`Operator::as_str`].
    pub(super) fn from_text(text: &str) -> Option<Operator> {
        Operator::ALL
            .iter()
            .find(|(_, written)| *written == text)
            .map(|(operator, _)| *operator)
    }
}

impl Node {
    pub(super) fn new(kind: Kind, at: usize) -> Node {
        Node {
            kind,
            at,
            keep_array: false,
            predicates: Vec::new(),
            stages: Vec::new(),
            group: None,
            constructs: false,
            focus: None,
            index: None,
            tuple: false,
            ancestor: None,
            seeking: Vec::new(),
        }
    }

    /// What a part is made of.
    pub(super) fn parts(&self) -> Vec<&Node> {
        let mut parts: Vec<&Node> = match &self.kind {
            Kind::Path { steps, .. } => steps.iter().collect(),
            Kind::Binary(_, left, right) | Kind::Apply(left, right) => vec![left, right],
            Kind::Negate(inner) | Kind::Bind(_, inner) => vec![inner],
            Kind::Array(parts) | Kind::Block(parts) => parts.iter().collect(),
            Kind::Object(pairs) => pairs.iter().flat_map(|(k, v)| [k, v]).collect(),
            Kind::Condition {
                condition,
                then,
                otherwise,
            } => {
                let parts = [&**condition, &**then].into_iter();
                parts.chain(otherwise.as_deref()).collect()
            }
            Kind::Call {
                procedure,
                arguments,
                ..
            } => std::iter::once(&**procedure).chain(arguments).collect(),
            Kind::Partial {
                procedure,
                arguments,
            } => std::iter::once(&**procedure)
                .chain(arguments.iter().flatten())
                .collect(),
            Kind::Lambda(lambda) => vec![&lambda.body],
            Kind::Transform(transform) => {
                let parts = [&transform.pattern, &transform.update].into_iter();
                parts.chain(&transform.delete).collect()
            }
            Kind::Sort(terms) => terms.iter().map(|term| &term.key).collect(),
            _ => Vec::new(),
        };
        for stage in self.predicates.iter().chain(&self.stages) {
            if let Stage::Filter(filter) = stage {
                parts.push(filter);
            }
        }
        let group = self.group.iter().flatten();
        parts.extend(group.flat_map(|(key, value)| [key, value]));
        parts
    }

    pub(super) fn is_array(&self) -> bool {
        matches!(self.kind, Kind::Array(_))
    }
}
