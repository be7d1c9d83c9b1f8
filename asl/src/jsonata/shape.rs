//! Owns the making of paths: what was written with `.`, `[…]`, `{…}`, `^(…)`, `@` and `#` becomes
//! one list of steps. [`super::ancestor`] connects each `%` to the step whose context it means.

use std::sync::Arc;

use super::ast::{Kind, Lambda, Name, Node, Operator, Stage, Term, Transform};
use super::error::Error;
use super::parse::{Raw, RawKind};

/// Shapes a tree. Also gives, for each slot of `%`, the name under which it is bound.
pub(super) fn shape(raw: Raw) -> Result<(Node, Vec<Name>), Error> {
    let mut shaper = Shaper::default();
    let node = shaper.node(raw)?;
    if matches!(node.kind, Kind::Parent(_)) || !node.seeking.is_empty() {
        return Err(no_parent(node.at));
    }
    let slots = shaper.slots.iter();
    // No variable can have this name.
    let labels = slots.map(|slot| Name::from(format!("%{}", slot.label)));
    Ok((node, labels.collect()))
}

pub(super) fn no_parent(at: usize) -> Error {
    let message = "The object representing the 'parent' cannot be derived from this expression";
    Error::new("S0217", message).at(at)
}

/// Where a `%` finds its parent.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) label: usize,
    /// How many steps up the parent is.
    pub(super) level: i64,
}

#[derive(Debug, Default)]
pub(super) struct Shaper {
    pub(super) slots: Vec<Slot>,
}

/// Hands on what a part seeks to the part it belongs to.
pub(super) fn pass_on(from: &Node, to: &mut Vec<usize>) {
    to.extend(&from.seeking);
    if let Kind::Parent(slot) = from.kind {
        to.push(slot);
    }
}

impl Shaper {
    fn node(&mut self, raw: Raw) -> Result<Node, Error> {
        let Raw {
            kind,
            at,
            keep_array,
            ..
        } = raw;
        let mut seeking = Vec::new();
        let kind = match kind {
            RawKind::Name(name) => {
                let mut step = Node::new(Kind::Name(name.into()), at);
                step.keep_array = keep_array;
                Kind::Path {
                    steps: vec![step],
                    keep_singleton: keep_array,
                }
            }
            RawKind::Binary(operator, left, right) => {
                let mut node = self.binary(operator, *left, *right, at)?;
                if operator == "@" {
                    last_step(&mut node).keep_array |= keep_array;
                }
                node.keep_array |= keep_array;
                return Ok(node);
            }
            RawKind::Group(left, pairs) => {
                let mut node = self.node(*left)?;
                if node.group.is_some() {
                    let message = "Each step can only have one grouping expression";
                    return Err(Error::new("S0210", message).at(at));
                }
                node.group = Some(self.pairs(pairs, &mut Vec::new())?);
                node.keep_array |= keep_array;
                return Ok(node);
            }
            RawKind::Sort(left, terms) => {
                let mut node = self.sort(*left, terms, at)?;
                node.keep_array |= keep_array;
                return Ok(node);
            }
            RawKind::Negate(inner) => {
                let mut inner = self.node(*inner)?;
                if let Kind::Number(number) = &mut inner.kind {
                    *number = -*number;
                    inner.keep_array |= keep_array;
                    return Ok(inner);
                }
                pass_on(&inner, &mut seeking);
                Kind::Negate(Box::new(inner))
            }
            RawKind::Array(items) => Kind::Array(self.nodes(items, &mut seeking)?),
            RawKind::Object(pairs) => Kind::Object(self.pairs(pairs, &mut seeking)?),
            RawKind::Block(parts) => Kind::Block(self.nodes(parts, &mut seeking)?),
            RawKind::Call(procedure, arguments) => {
                self.call(*procedure, arguments, &mut seeking)?
            }
            RawKind::Lambda(parameters, signature, body) => {
                let mut body = self.node(*body)?;
                mark_tail(&mut body);
                Kind::Lambda(Arc::new(Lambda {
                    parameters: parameters.into_iter().map(Name::from).collect(),
                    signature,
                    body,
                }))
            }
            RawKind::Condition(condition, then, otherwise) => {
                let mut part = |this: &mut Shaper, raw: Raw| -> Result<Box<Node>, Error> {
                    let node = this.node(raw)?;
                    pass_on(&node, &mut seeking);
                    Ok(Box::new(node))
                };
                Kind::Condition {
                    condition: part(self, *condition)?,
                    then: part(self, *then)?,
                    otherwise: match otherwise {
                        Some(otherwise) => Some(part(self, *otherwise)?),
                        None => None,
                    },
                }
            }
            RawKind::Transform(pattern, update, delete) => Kind::Transform(Arc::new(Transform {
                pattern: self.node(*pattern)?,
                update: self.node(*update)?,
                delete: match delete {
                    Some(delete) => Some(self.node(*delete)?),
                    None => None,
                },
            })),
            RawKind::Parent => {
                let label = self.slots.len();
                self.slots.push(Slot { label, level: 1 });
                Kind::Parent(label)
            }
            RawKind::Null => Kind::Null,
            RawKind::Bool(value) => Kind::Bool(value),
            RawKind::Number(number) => Kind::Number(number),
            RawKind::Text(text) => Kind::Text(text.into()),
            RawKind::Regex(regex) => Kind::Regex(regex),
            RawKind::Variable(name) => Kind::Variable(name.into()),
            RawKind::Wildcard => Kind::Wildcard,
            RawKind::Descendants => Kind::Descendants,
        };
        let mut node = Node::new(kind, at);
        node.keep_array = keep_array;
        node.seeking = seeking;
        if let Kind::Block(parts) = &node.kind {
            node.constructs = parts.iter().any(|part| match &part.kind {
                Kind::Path { steps, .. } => steps.first().is_some_and(|step| step.constructs),
                _ => part.constructs,
            });
        }
        Ok(node)
    }

    fn nodes(&mut self, raws: Vec<Raw>, seeking: &mut Vec<usize>) -> Result<Vec<Node>, Error> {
        let mut nodes = Vec::with_capacity(raws.len());
        for raw in raws {
            let node = self.node(raw)?;
            pass_on(&node, seeking);
            nodes.push(node);
        }
        Ok(nodes)
    }

    fn pairs(
        &mut self,
        pairs: Vec<(Raw, Raw)>,
        seeking: &mut Vec<usize>,
    ) -> Result<Vec<(Node, Node)>, Error> {
        let mut nodes = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            let (key, value) = (self.node(key)?, self.node(value)?);
            pass_on(&key, seeking);
            pass_on(&value, seeking);
            nodes.push((key, value));
        }
        Ok(nodes)
    }

    fn call(
        &mut self,
        procedure: Raw,
        arguments: Vec<Option<Raw>>,
        seeking: &mut Vec<usize>,
    ) -> Result<Kind, Error> {
        let mut nodes = Vec::with_capacity(arguments.len());
        for argument in arguments {
            nodes.push(match argument {
                None => None,
                Some(argument) => {
                    let node = self.node(argument)?;
                    pass_on(&node, seeking);
                    Some(node)
                }
            });
        }
        let procedure = Box::new(self.node(procedure)?);
        Ok(if nodes.iter().any(Option::is_none) {
            Kind::Partial {
                procedure,
                arguments: nodes,
            }
        } else {
            Kind::Call {
                procedure,
                arguments: nodes.into_iter().flatten().collect(),
                tail: false,
            }
        })
    }

    fn binary(
        &mut self,
        operator: &'static str,
        left: Raw,
        right: Raw,
        at: usize,
    ) -> Result<Node, Error> {
        match operator {
            "." => self.path(left, right, at),
            "[" => self.filter(left, right, at),
            "@" => self.focus(left, right, at),
            "#" => self.index(left, right),
            ":=" => {
                let value = self.node(right)?;
                let RawKind::Variable(name) = left.kind else {
                    return Err(
                        Error::new("S0212", "The left side of := must be a variable").at(at),
                    );
                };
                let mut seeking = Vec::new();
                pass_on(&value, &mut seeking);
                let mut node = Node::new(Kind::Bind(name.into(), Box::new(value)), at);
                node.seeking = seeking;
                Ok(node)
            }
            "~>" => {
                let (left, right) = (self.node(left)?, self.node(right)?);
                let keep_array = left.keep_array || right.keep_array;
                let mut node = Node::new(Kind::Apply(Box::new(left), Box::new(right)), at);
                node.keep_array = keep_array;
                Ok(node)
            }
            _ => {
                let Some(operator) = Operator::from_text(operator) else {
                    return Err(Error::new("S0201", format!("Syntax error: {operator:?}")).at(at));
                };
                let (left, right) = (self.node(left)?, self.node(right)?);
                let mut seeking = Vec::new();
                pass_on(&left, &mut seeking);
                pass_on(&right, &mut seeking);
                let kind = Kind::Binary(operator, Box::new(left), Box::new(right));
                let mut node = Node::new(kind, at);
                node.seeking = seeking;
                Ok(node)
            }
        }
    }

    fn path(&mut self, left: Raw, right: Raw, at: usize) -> Result<Node, Error> {
        let mut path = as_path(self.node(left)?);
        let rest = self.node(right)?;
        let Kind::Path {
            steps,
            keep_singleton,
        } = &mut path.kind
        else {
            return Err(Error::new("S0201", "Syntax error").at(at));
        };
        match rest {
            Node {
                kind: Kind::Path { steps: more, .. },
                ..
            } => steps.extend(more),
            mut rest => {
                rest.stages.append(&mut rest.predicates);
                steps.push(rest);
            }
        }
        for step in steps.iter_mut() {
            match &step.kind {
                Kind::Number(_) | Kind::Bool(_) | Kind::Null => {
                    let message =
                        "The literal value cannot be used as a step within a path expression";
                    return Err(Error::new("S0213", message).at(step.at));
                }
                Kind::Text(text) => step.kind = Kind::Name(text.clone()),
                _ => {}
            }
        }
        *keep_singleton |= steps.iter().any(|step| step.keep_array);
        let last = steps.len() - 1;
        for index in [0, last] {
            if steps[index].is_array() {
                steps[index].constructs = true;
            }
        }
        self.resolve(&mut path)?;
        Ok(path)
    }

    fn filter(&mut self, left: Raw, right: Raw, at: usize) -> Result<Node, Error> {
        let mut node = self.node(left)?;
        let filter = self.node(right)?;
        let is_path = matches!(node.kind, Kind::Path { .. });
        let step = last_step(&mut node);
        if step.group.is_some() {
            let message = "A predicate cannot follow a grouping expression in a step";
            return Err(Error::new("S0209", message).at(at));
        }
        if !filter.seeking.is_empty() {
            for &slot in &filter.seeking {
                if self.slots[slot].level == 1 {
                    self.seek(step, slot)?;
                } else {
                    self.slots[slot].level -= 1;
                }
            }
            pass_on(&filter, &mut step.seeking);
        }
        let stages = if is_path {
            &mut step.stages
        } else {
            &mut step.predicates
        };
        stages.push(Stage::Filter(filter));
        Ok(node)
    }

    fn focus(&mut self, left: Raw, right: Raw, at: usize) -> Result<Node, Error> {
        let mut node = self.node(left)?;
        let step = last_step(&mut node);
        if !step.stages.is_empty() || !step.predicates.is_empty() {
            let message = "A context variable binding must precede any predicates on a step";
            return Err(Error::new("S0215", message).at(at));
        }
        if matches!(step.kind, Kind::Sort(_)) {
            let message = "A context variable binding must precede the 'order-by' clause on a step";
            return Err(Error::new("S0216", message).at(at));
        }
        if let RawKind::Variable(name) = right.kind {
            step.focus = Some(name.into());
        }
        step.tuple = true;
        Ok(node)
    }

    fn index(&mut self, left: Raw, right: Raw) -> Result<Node, Error> {
        let mut node = as_path(self.node(left)?);
        let step = last_step(&mut node);
        step.stages.append(&mut step.predicates);
        if let RawKind::Variable(name) = right.kind {
            if step.stages.is_empty() {
                step.index = Some(name.into());
            } else {
                step.stages.push(Stage::Index(name.into()));
            }
        }
        step.tuple = true;
        Ok(node)
    }

    fn sort(&mut self, left: Raw, terms: Vec<(bool, Raw)>, at: usize) -> Result<Node, Error> {
        let mut path = as_path(self.node(left)?);
        let mut step = Node::new(Kind::Sort(Vec::new()), at);
        let mut sorted = Vec::with_capacity(terms.len());
        for (descending, key) in terms {
            let key = self.node(key)?;
            pass_on(&key, &mut step.seeking);
            sorted.push(Term { descending, key });
        }
        step.kind = Kind::Sort(sorted);
        if let Kind::Path { steps, .. } = &mut path.kind {
            steps.push(step);
        }
        self.resolve(&mut path)?;
        Ok(path)
    }
}

fn as_path(node: Node) -> Node {
    if matches!(node.kind, Kind::Path { .. }) {
        return node;
    }
    let at = node.at;
    let mut seeking = Vec::new();
    if let Kind::Parent(slot) = node.kind {
        seeking.push(slot);
    }
    let mut path = Node::new(
        Kind::Path {
            steps: vec![node],
            keep_singleton: false,
        },
        at,
    );
    path.seeking = seeking;
    path
}

/// The last step of a path, or the part itself if it is none.
fn last_step(node: &mut Node) -> &mut Node {
    if !matches!(&node.kind, Kind::Path { steps, .. } if !steps.is_empty()) {
        return node;
    }
    match &mut node.kind {
        Kind::Path { steps, .. } => steps.last_mut().expect("there is a step"),
        _ => unreachable!("it was a path just before"),
    }
}

/// Marks the calls with which a function ends.
fn mark_tail(node: &mut Node) {
    let plain = node.predicates.is_empty() && node.group.is_none() && !node.keep_array;
    match &mut node.kind {
        Kind::Call { tail, .. } if plain => *tail = true,
        Kind::Condition {
            then, otherwise, ..
        } => {
            mark_tail(then);
            if let Some(otherwise) = otherwise {
                mark_tail(otherwise);
            }
        }
        Kind::Block(parts) => {
            if let Some(last) = parts.last_mut() {
                mark_tail(last);
            }
        }
        _ => {}
    }
}
