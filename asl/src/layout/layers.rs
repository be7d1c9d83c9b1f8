//! Owns which layer each node of a scope belongs to, and its order there. Knows no coordinates.

/// A transition within a scope, by the indexes of its nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub from: usize,
    pub to: usize,
    pub catch: bool,
}

/// How a link is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Course {
    /// Down through these bends, one in each layer it passes.
    Down(Vec<usize>),
    /// In a lane on the left, upwards.
    Back,
    /// In a lane on the right, downwards.
    Aside,
}

/// A scope in layers. Node indexes from `sizes.len()` on are bends of long links.
pub(super) struct Layered {
    pub sizes: Vec<(f32, f32)>,
    pub links: Vec<Link>,
    pub courses: Vec<Course>,
    pub layers: Vec<Vec<usize>>,
    /// Of each node and bend.
    pub layer: Vec<usize>,
    /// Neighbours one layer up and one layer down, of each node and bend.
    pub up: Vec<Vec<usize>>,
    pub down: Vec<Vec<usize>>,
    /// Reached by catchers only.
    pub aside: Vec<bool>,
}

/// More sweeps than this change nothing that one would see.
const SWEEPS: usize = 6;

pub(super) fn layers(sizes: Vec<(f32, f32)>, mut links: Vec<Link>) -> Layered {
    let count = sizes.len();
    straighten(count, &mut links);
    let (back, order) = orient(count, &links);
    let mut layer = vec![0; count];
    let mut leaving = vec![Vec::new(); count];
    for (at, link) in links.iter().enumerate() {
        if !back[at] {
            leaving[link.from].push(link.to);
        }
    }
    for &from in &order {
        for &to in &leaving[from] {
            layer[to] = layer[to].max(layer[from] + 1);
        }
    }
    let mut scope = Layered {
        aside: aside(count, &links),
        up: vec![Vec::new(); count],
        down: vec![Vec::new(); count],
        courses: Vec::with_capacity(links.len()),
        layers: Vec::new(),
        layer,
        sizes,
        links,
    };
    for (at, link) in scope.links.clone().into_iter().enumerate() {
        let course = if back[at] {
            Course::Back
        } else if link.catch {
            Course::Aside
        } else {
            Course::Down(scope.bend(link))
        };
        scope.courses.push(course);
    }
    scope.arrange(&order);
    scope
}

/// Where nothing but a catcher follows, what it leads to takes the place below: no lane is needed.
fn straighten(count: usize, links: &mut [Link]) {
    let mut goes_on = vec![false; count];
    for link in links.iter().filter(|link| !link.catch) {
        goes_on[link.from] = true;
    }
    let mut sources = vec![0usize; count];
    for link in links.iter() {
        sources[link.to] += 1;
    }
    for link in links.iter_mut() {
        link.catch &= goes_on[link.from] || sources[link.to] > 1;
    }
}

/// Which links lead back to where one came from, and the nodes in an order that the others follow.
fn orient(count: usize, links: &[Link]) -> (Vec<bool>, Vec<usize>) {
    let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, link) in links.iter().enumerate() {
        leaving[link.from].push(at);
    }
    // A loop is cut where it is closed on the way of the ordinary transitions.
    for edges in &mut leaving {
        edges.sort_by_key(|&at| links[at].catch);
    }
    let mut back = vec![false; links.len()];
    // 0: not seen, 1: on the way, 2: done.
    let mut seen = vec![0u8; count];
    let mut done = Vec::with_capacity(count);
    for root in 0..count {
        if seen[root] != 0 {
            continue;
        }
        seen[root] = 1;
        let mut way = vec![(root, 0)];
        while let Some((node, next)) = way.last_mut() {
            let node = *node;
            match leaving[node].get(*next) {
                Some(&at) => {
                    *next += 1;
                    let to = links[at].to;
                    match seen[to] {
                        0 => {
                            seen[to] = 1;
                            way.push((to, 0));
                        }
                        1 => back[at] = true,
                        _ => {}
                    }
                }
                None => {
                    seen[node] = 2;
                    done.push(node);
                    way.pop();
                }
            }
        }
    }
    done.reverse();
    (back, done)
}

fn aside(count: usize, links: &[Link]) -> Vec<bool> {
    let mut leaving: Vec<Vec<usize>> = vec![Vec::new(); count];
    for link in links.iter().filter(|link| !link.catch) {
        leaving[link.from].push(link.to);
    }
    let mut aside = vec![true; count];
    let mut way = Vec::new();
    if count > 0 {
        aside[0] = false;
        way.push(0);
    }
    while let Some(node) = way.pop() {
        for &to in &leaving[node] {
            if aside[to] {
                aside[to] = false;
                way.push(to);
            }
        }
    }
    aside
}

impl Layered {
    /// Puts a bend into each layer between the ends of a link.
    fn bend(&mut self, link: Link) -> Vec<usize> {
        let mut bends = Vec::new();
        let mut above = link.from;
        for layer in self.layer[link.from] + 1..self.layer[link.to] {
            let bend = self.layer.len();
            self.layer.push(layer);
            self.aside.push(self.aside[link.from]);
            self.up.push(vec![above]);
            self.down.push(Vec::new());
            self.down[above].push(bend);
            bends.push(bend);
            above = bend;
        }
        self.down[above].push(link.to);
        self.up[link.to].push(above);
        bends
    }

    fn arrange(&mut self, order: &[usize]) {
        let depth = self.layer.iter().max().map_or(0, |deepest| deepest + 1);
        self.layers = vec![Vec::new(); depth];
        let bends = self.sizes.len()..self.layer.len();
        // The order of a walk keeps what belongs together side by side.
        for node in order.iter().copied().chain(bends) {
            self.layers[self.layer[node]].push(node);
        }
        let mut place = vec![0usize; self.layer.len()];
        for nodes in &mut self.layers {
            let aside = &self.aside;
            nodes.sort_by_key(|&node| aside[node]);
            for (at, &node) in nodes.iter().enumerate() {
                place[node] = at;
            }
        }
        let mut best = (self.crossings(&place), self.layers.clone());
        for sweep in 0..SWEEPS {
            if best.0 == 0 {
                break;
            }
            let downwards = sweep % 2 == 0;
            for step in 0..depth {
                let at = if downwards { step } else { depth - 1 - step };
                let near = if downwards { &self.up } else { &self.down };
                let wish = |node: usize| match near[node].len() {
                    0 => place[node] as f64,
                    count => {
                        near[node]
                            .iter()
                            .map(|&other| place[other] as f64)
                            .sum::<f64>()
                            / count as f64
                    }
                };
                let mut wishes: Vec<(bool, f64, usize)> = self.layers[at]
                    .iter()
                    .map(|&node| (self.aside[node], wish(node), node))
                    .collect();
                wishes.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
                for (at, &(_, _, node)) in wishes.iter().enumerate() {
                    place[node] = at;
                }
                self.layers[at] = wishes.into_iter().map(|(_, _, node)| node).collect();
            }
            let crossings = self.crossings(&place);
            if crossings < best.0 {
                best = (crossings, self.layers.clone());
            }
        }
        self.layers = best.1;
    }

    /// How many pairs of links between neighbouring layers cross: inversions, counted with a
    /// binary indexed tree (Barth, Jünger and Mutzel 2002).
    pub fn crossings(&self, place: &[usize]) -> usize {
        let mut crossings = 0;
        for (at, nodes) in self.layers.iter().enumerate() {
            let width = self.layers.get(at + 1).map_or(0, Vec::len);
            let mut tree = vec![0usize; width + 1];
            let mut seen = 0;
            for &node in nodes {
                let mut ends: Vec<usize> =
                    self.down[node].iter().map(|&below| place[below]).collect();
                ends.sort_unstable();
                for &end in &ends {
                    let mut left = 0;
                    let mut at = end + 1;
                    while at > 0 {
                        left += tree[at];
                        at &= at - 1;
                    }
                    crossings += seen - left;
                }
                for &end in &ends {
                    seen += 1;
                    let mut at = end + 1;
                    while at <= width {
                        tree[at] += 1;
                        at += at & at.wrapping_neg();
                    }
                }
            }
        }
        crossings
    }
}
