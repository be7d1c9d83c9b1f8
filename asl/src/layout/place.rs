//! Owns the coordinates of one scope: nodes by least squares within their order, links as lines
//! through the gaps between layers and the lanes beside them, so that no line crosses a box.

use super::layers::{Course, Layered};

/// Between neighbours of a layer.
const SPACE: f32 = 32.0;
/// Between layers.
const GAP: f32 = 46.0;
/// Between lanes, and between the boxes and the first lane.
const LANE: f32 = 14.0;
const SWEEPS: usize = 12;

/// A scope with coordinates relative to its upper left corner.
pub(super) struct Placed {
    pub positions: Vec<(f32, f32)>,
    pub routes: Vec<Vec<(f32, f32)>>,
    pub width: f32,
    pub height: f32,
}

pub(super) fn place(scope: &Layered) -> Placed {
    let mut grid = Grid::new(scope);
    grid.centre_columns();
    grid.move_aside();
    let routes = grid.routes();
    grid.finish(routes)
}

struct Grid<'a> {
    scope: &'a Layered,
    /// Middle of each node and bend.
    x: Vec<f32>,
    /// Upper edge and height of each layer.
    rows: Vec<(f32, f32)>,
}

impl<'a> Grid<'a> {
    fn new(scope: &'a Layered) -> Grid<'a> {
        let mut y = 0.0;
        let mut rows = Vec::with_capacity(scope.layers.len());
        for nodes in &scope.layers {
            let height = nodes
                .iter()
                .map(|&node| size(scope, node).1)
                .fold(0.0, f32::max);
            rows.push((y, height));
            y += height + GAP;
        }
        let mut x = vec![0.0; scope.layer.len()];
        for nodes in &scope.layers {
            let wishes = vec![(0.0, 1.0); nodes.len()];
            settle(scope, nodes, &wishes, &mut x);
        }
        Grid { scope, x, rows }
    }

    /// Moves each node to the middle of its neighbours, as far as its own neighbours let it.
    fn centre_columns(&mut self) {
        let depth = self.scope.layers.len();
        for sweep in 0..SWEEPS {
            for step in 0..depth {
                let (at, near) = match sweep % 2 {
                    0 => (step, &self.scope.up),
                    _ => (depth - 1 - step, &self.scope.down),
                };
                let nodes = &self.scope.layers[at];
                let wishes: Vec<(f32, f32)> = nodes
                    .iter()
                    .map(|&node| {
                        let near = &near[node];
                        // What a catcher leads to must not push the way of success aside.
                        let weight = if self.scope.aside[node] { 0.001 } else { 1.0 };
                        match near.len() {
                            0 => (self.x[node], weight * 0.1),
                            count => {
                                let sum: f32 = near.iter().map(|&other| self.x[other]).sum();
                                (sum / count as f32, weight * count as f32)
                            }
                        }
                    })
                    .collect();
                settle(self.scope, nodes, &wishes, &mut self.x);
            }
        }
    }

    /// Moves what only catchers lead to right of all that they come from, so that their lane can
    /// run straight down into it.
    fn move_aside(&mut self) {
        let mut shift: f32 = 0.0;
        for (link, course) in self.scope.links.iter().zip(&self.scope.courses) {
            if *course == Course::Aside && self.scope.aside[link.to] {
                let lane = self.right_of(
                    self.scope.layer[link.from],
                    self.scope.layer[link.to],
                    false,
                );
                shift = shift.max(lane + 2.0 * LANE - self.x[link.to]);
            }
        }
        for node in 0..self.x.len() {
            if self.scope.aside[node] {
                self.x[node] += shift;
            }
        }
    }

    /// The right edge of the boxes in the layers from `from` up to, not including, `to`.
    fn right_of(&self, from: usize, to: usize, with_aside: bool) -> f32 {
        (from..to)
            .flat_map(|layer| &self.scope.layers[layer])
            .filter(|&&node| with_aside || !self.scope.aside[node])
            .map(|&node| self.x[node] + size(self.scope, node).0 / 2.0)
            .fold(0.0, f32::max)
    }

    /// Y of the gap above a layer.
    fn gap_above(&self, layer: usize) -> f32 {
        self.rows
            .get(layer)
            .map_or_else(|| self.bottom() + GAP / 2.0, |row| row.0 - GAP / 2.0)
    }

    fn bottom(&self) -> f32 {
        self.rows.last().map_or(0.0, |row| row.0 + row.1)
    }

    fn top_of(&self, node: usize) -> f32 {
        let row = self.rows[self.scope.layer[node]];
        row.0 + (row.1 - size(self.scope, node).1) / 2.0
    }

    fn bottom_of(&self, node: usize) -> f32 {
        self.top_of(node) + size(self.scope, node).1
    }

    fn routes(&self) -> Vec<Vec<(f32, f32)>> {
        let left = (0..self.x.len())
            .map(|node| self.x[node] - size(self.scope, node).0 / 2.0)
            .fold(f32::INFINITY, f32::min);
        let mut loops: Vec<usize> = Vec::new();
        let scope = self.scope;
        let links = scope.links.iter().zip(&scope.courses);
        links
            .map(|(link, course)| match course {
                Course::Down(bends) => self.down(link.from, bends, link.to),
                Course::Aside => self.aside(link.from, link.to),
                Course::Back => {
                    let lane = loops
                        .iter()
                        .position(|&to| to == link.to)
                        .unwrap_or_else(|| {
                            loops.push(link.to);
                            loops.len() - 1
                        });
                    self.back(link.from, link.to, left - LANE * (lane + 1) as f32)
                }
            })
            .collect()
    }

    fn down(&self, from: usize, bends: &[usize], to: usize) -> Vec<(f32, f32)> {
        let mut points = vec![(self.x[from], self.bottom_of(from))];
        let mut x = self.x[from];
        for &node in bends.iter().chain([&to]) {
            if (self.x[node] - x).abs() > 0.5 {
                let y = self.gap_above(self.scope.layer[node]);
                points.push((x, y));
                points.push((self.x[node], y));
            }
            x = self.x[node];
        }
        points.push((x, self.top_of(to)));
        points
    }

    fn back(&self, from: usize, to: usize, lane: f32) -> Vec<(f32, f32)> {
        let below = self.gap_above(self.scope.layer[from] + 1) - LANE / 2.0;
        let above = self.gap_above(self.scope.layer[to]) + LANE / 2.0;
        let (leave, enter) = (self.x[from] - LANE, self.x[to] - LANE);
        vec![
            (leave, self.bottom_of(from)),
            (leave, below),
            (lane, below),
            (lane, above),
            (enter, above),
            (enter, self.top_of(to)),
        ]
    }

    fn aside(&self, from: usize, to: usize) -> Vec<(f32, f32)> {
        let (first, last) = (self.scope.layer[from], self.scope.layer[to]);
        let clear = self.right_of(first, last, true) + LANE;
        // Into the middle of what it leads to, where nothing stands in the way.
        let lane = if self.x[to] >= clear {
            self.x[to]
        } else {
            clear + LANE
        };
        let half = size(self.scope, from).0 / 2.0;
        let is_last = self.scope.layers[first].last() == Some(&from);
        let mut points = if is_last {
            let y = (self.top_of(from) + self.bottom_of(from)) / 2.0;
            vec![(self.x[from] + half, y), (lane, y)]
        } else {
            let (x, y) = (self.x[from] + LANE, self.gap_above(first + 1) - LANE / 2.0);
            vec![(x, self.bottom_of(from)), (x, y), (lane, y)]
        };
        if (lane - self.x[to]).abs() > 0.5 {
            let y = self.gap_above(last) + LANE / 2.0;
            points.push((lane, y));
            points.push((self.x[to] + LANE, y));
            points.push((self.x[to] + LANE, self.top_of(to)));
        } else {
            points.push((lane, self.top_of(to)));
        }
        points
    }

    /// Moves everything so that it begins at the origin.
    fn finish(&self, mut routes: Vec<Vec<(f32, f32)>>) -> Placed {
        let count = self.scope.sizes.len();
        let boxes = || (0..count).map(|node| (self.x[node], size(self.scope, node).0 / 2.0));
        let lines = || routes.iter().flatten().map(|point| point.0);
        let left = boxes()
            .map(|(x, half)| x - half)
            .chain(lines())
            .fold(f32::INFINITY, f32::min);
        let right = boxes()
            .map(|(x, half)| x + half)
            .chain(lines())
            .fold(f32::NEG_INFINITY, f32::max);
        // A loop from the last layer, or to the first, runs outside of the boxes.
        let ys = || routes.iter().flatten().map(|point| point.1);
        let top = ys().fold(0.0, f32::min);
        let bottom = ys().fold(self.bottom(), f32::max);
        let positions = (0..count)
            .map(|node| {
                let half = size(self.scope, node).0 / 2.0;
                (self.x[node] - half - left, self.top_of(node) - top)
            })
            .collect();
        for point in routes.iter_mut().flatten() {
            *point = (point.0 - left, point.1 - top);
        }
        Placed {
            positions,
            routes,
            width: if count == 0 { 0.0 } else { right - left },
            height: bottom - top,
        }
    }
}

fn size(scope: &Layered, node: usize) -> (f32, f32) {
    scope.sizes.get(node).copied().unwrap_or((0.0, 0.0))
}

/// Gives the nodes of one layer the places nearest to their wishes, by weighted least squares,
/// that keep their order and distances: isotonic regression by pooling adjacent violators
/// (Ayer et al. 1955).
fn settle(scope: &Layered, nodes: &[usize], wishes: &[(f32, f32)], x: &mut [f32]) {
    let mut offset = 0.0;
    let mut offsets = Vec::with_capacity(nodes.len());
    for (at, &node) in nodes.iter().enumerate() {
        if at > 0 {
            let (a, b) = (size(scope, nodes[at - 1]).0, size(scope, node).0);
            offset += (a + b) / 2.0 + SPACE;
        }
        offsets.push(offset);
    }
    // Blocks of nodes that touch: weighted sum of wishes, weight, number of nodes.
    let mut blocks: Vec<(f32, f32, usize)> = Vec::with_capacity(nodes.len());
    for (&(wish, weight), &offset) in wishes.iter().zip(&offsets) {
        let mut block = ((wish - offset) * weight, weight, 1);
        while let Some(&(sum, weight, count)) = blocks.last() {
            if sum / weight < block.0 / block.1 {
                break;
            }
            blocks.pop();
            block = (block.0 + sum, block.1 + weight, block.2 + count);
        }
        blocks.push(block);
    }
    let mut at = 0;
    for (sum, weight, count) in blocks {
        for _ in 0..count {
            x[nodes[at]] = sum / weight + offsets[at];
            at += 1;
        }
    }
}
