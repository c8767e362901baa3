//! Tables of numbers, on the host and behind a device.

use inferenceguard_model::{DeviceRows, Model, ModelError, Pick, Rows, SampleRequest, toy::ToyScript};
use std::any::Any;

/// A device that returns these numbers, whatever it promised.
struct Elsewhere(Vec<f32>);

impl DeviceRows for Elsewhere {
    fn to_host(&self) -> Result<Vec<f32>, ModelError> {
        Ok(self.0.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn host(len: usize, width: usize) -> Rows {
    Rows::host(len, width, (0..len * width).map(|i| i as f32).collect()).expect("the right count")
}

fn model() -> impl Model {
    ToyScript::parse("vocab: <eos>* a b\nafter : a 1").expect("a fine script").model()
}

#[test]
fn a_slice_is_its_rows_and_nothing_beyond() {
    let table = Rows::host(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let tail = table.slice(1..3).unwrap();
    assert_eq!((tail.len(), tail.to_host().unwrap().into_owned()), (2, vec![3.0, 4.0, 5.0, 6.0]));
    assert_eq!(tail.slice(1..2).unwrap().to_host().unwrap().into_owned(), [5.0, 6.0]);
    assert_eq!(table.slice(3..3).unwrap().to_host().unwrap().into_owned(), [0.0; 0]);
    assert!(table.slice(2..4).is_none() && tail.slice(0..3).is_none());
}

#[test]
fn a_table_has_the_numbers_its_shape_says() {
    let rows = host(2, 3);
    assert_eq!((rows.len(), rows.width(), rows.is_empty()), (2, 3, false));
    assert!(rows.as_device().is_none());
    for (len, width, count) in [(2, 3, 5), (0, 3, 1), (usize::MAX, 2, 6)] {
        let error = Rows::host(len, width, vec![0.0; count]).expect_err("another count");
        assert!(matches!(error, ModelError::Shape { .. }));
    }
}

#[test]
fn a_device_that_returns_another_count_is_an_error() {
    let rows = Rows::device(2, 2, Box::new(Elsewhere(vec![1.0; 4])));
    assert!(rows.as_device().is_some_and(|d| d.is::<Elsewhere>()));
    assert_eq!(rows.to_host().expect("four numbers")[..], [1.0; 4]);
    assert!(Rows::device(2, 2, Box::new(Elsewhere(vec![1.0; 3]))).to_host().is_err());
}

#[test]
fn gather_picks_across_tables() {
    let (first, second) = (host(2, 3), Rows::device(1, 3, Box::new(Elsewhere(vec![9.0; 3]))));
    let tables = [&first, &second];
    let rows = model().gather(&tables, &[(1, 0), (0, 1), (0, 1)]).expect("rows that exist");
    assert_eq!(rows.to_host().expect("on the host")[..], [9.0, 9.0, 9.0, 3.0, 4.0, 5.0, 3.0, 4.0, 5.0]);
    assert!(model().gather(&tables, &[]).expect("no rows").is_empty());
    for missing in [(0, 2), (2, 0), (0, usize::MAX)] {
        assert!(model().gather(&tables, &[missing]).is_err(), "{missing:?}");
    }
    let (narrow, wide) = (host(1, 1), host(1, 3));
    assert!(model().gather(&[&host(1, 2), &narrow, &wide], &[(1, 0), (2, 0)]).is_err(), "widths differ");
    assert!(model().gather(&[&host(1, 0)], &[(0, 5)]).is_err(), "a row must exist even where rows are empty");
}

#[test]
fn sample_reads_the_rows_it_is_asked_for() {
    let logits = Rows::host(3, 2, vec![0.0, 1.0, 1.0, 0.0, f32::NAN, 0.0]).expect("the right count");
    let pick = |rank| SampleRequest::plain(Pick::Rank(rank));
    let sampled = model().sample(&logits, &[(1, pick(0)), (0, pick(0)), (1, pick(1))]).expect("finite rows");
    assert_eq!(sampled.iter().map(|s| s.token).collect::<Vec<_>>(), [0, 1, 1]);
    assert!(matches!(model().sample(&logits, &[(2, pick(0))]), Err(ModelError::NotFinite(_))));
    assert!(matches!(model().sample(&logits, &[(3, pick(0))]), Err(ModelError::Shape { .. })));
}
