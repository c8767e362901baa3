//! Numbers beside points, placed so that they stay readable where points are crowded.

/// Half the width and height of a number and of a mark, in pixels.
const NUMBER: (i32, i32) = (9, 8);
const MARK: (i32, i32) = (7, 7);
/// How far from its point a number may stand; beyond the first a line leads to it.
const RINGS: [i32; 6] = [17, 28, 42, 58, 76, 96];
/// Twelve directions, the best to read first: (x, y) in hundredths.
const DIRECTIONS: [(i32, i32); 12] = [
    (100, 0),
    (87, -50),
    (87, 50),
    (50, -87),
    (50, 87),
    (0, -100),
    (0, 100),
    (-50, -87),
    (-50, 87),
    (-87, -50),
    (-87, 50),
    (-100, 0),
];

/// The place of a number: its centre, and whether a line must lead to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LabelPosition {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) far: bool,
}

/// A place for the number of every point, inside `width` x `height`.
pub(super) fn place(points: &[(i32, i32)], (width, height): (i32, i32)) -> Vec<LabelPosition> {
    let mut placed: Vec<LabelPosition> = Vec::with_capacity(points.len());
    for &point in points {
        let free = |place: &LabelPosition| {
            let inside =
                (NUMBER.0..width - NUMBER.0).contains(&place.x) && (NUMBER.1..height - NUMBER.1).contains(&place.y);
            let numbers = placed.iter().all(|other| !meets((place.x, place.y), (other.x, other.y), twice(NUMBER)));
            let sizes = (NUMBER.0 + MARK.0, NUMBER.1 + MARK.1);
            inside && numbers && points.iter().all(|mark| !meets((place.x, place.y), *mark, sizes))
        };
        let found = candidates(point).find(free);
        placed.push(found.unwrap_or(LabelPosition { x: point.0 + RINGS[0], y: point.1, far: false }));
    }
    placed
}

fn twice((width, height): (i32, i32)) -> (i32, i32) {
    (2 * width, 2 * height)
}

fn candidates((x, y): (i32, i32)) -> impl Iterator<Item = LabelPosition> {
    RINGS.into_iter().enumerate().flat_map(move |(ring, radius)| {
        let at = move |(dx, dy): (i32, i32)| LabelPosition {
            x: x + radius * dx / 100,
            y: y + radius * dy / 100,
            far: ring > 0,
        };
        DIRECTIONS.into_iter().map(at)
    })
}

fn meets(a: (i32, i32), b: (i32, i32), (width, height): (i32, i32)) -> bool {
    (a.0 - b.0).abs() < width && (a.1 - b.1).abs() < height
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_points_has_numbers_that_do_not_meet() {
        let points: Vec<(i32, i32)> = (0..14).map(|at| (380 + at % 3, 40 + at)).collect();
        let placed = place(&points, (420, 400));
        for (at, one) in placed.iter().enumerate() {
            assert!(one.x < 420 && one.y > 0, "{one:?}");
            for other in &placed[..at] {
                assert!(!meets((one.x, one.y), (other.x, other.y), twice(NUMBER)), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_lonely_point_has_its_number_beside_it() {
        assert_eq!(place(&[(50, 50)], (100, 100)), [LabelPosition { x: 67, y: 50, far: false }]);
    }
}
