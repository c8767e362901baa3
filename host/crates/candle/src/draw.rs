//! Draws from many rows side by side, on the host or on a device.

use crate::{device_draw, device_draw::Draw, error::backend, rows::as_tensor, rows::to_rows};
use candle_core::Tensor;
use inferenceguard_model::{ModelError, Pick, RowSampler, Rows, SampleRequest, Sampled};
use rayon::prelude::*;

/// A request, and the row it draws from.
type Asked = (usize, SampleRequest);

/// One draw per request, as [`sample_row`](inferenceguard_model::sample_row) makes it.
///
/// Of logits on a device, only rows with penalties, truncation or ranks come to the host.
pub(crate) fn sample(logits: &Rows, requests: &[Asked]) -> Result<Vec<Sampled>, ModelError> {
    if let Some((row, _)) = requests.iter().find(|(row, _)| *row >= logits.len()) {
        let (expected, found) = (format!("an index below {}", logits.len()), row.to_string());
        return Err(ModelError::Shape { what: "row", expected, found });
    }
    match as_tensor(logits) {
        Some(tensor) => on_device(tensor, requests),
        None => on_host(logits, requests),
    }
}

fn on_device(logits: &Tensor, requests: &[Asked]) -> Result<Vec<Sampled>, ModelError> {
    let plain: Vec<Option<Draw>> = requests.iter().map(|(row, request)| plain_draw(*row, request)).collect();
    let draws: Vec<Draw> = plain.iter().flatten().copied().collect();
    let mut drawn = device_draw::draw(logits, &draws)?.into_iter();
    let others: Vec<&Asked> = requests.iter().zip(&plain).filter(|(_, d)| d.is_none()).map(|(r, _)| r).collect();
    let mut others = fetched(logits, &others)?.into_iter();
    let next = |draw: &Option<Draw>| if draw.is_some() { drawn.next() } else { others.next() };
    Ok(plain.iter().filter_map(next).collect())
}

/// What the device can draw; whatever else, the host's sampler draws or refuses.
fn plain_draw(row: usize, request: &SampleRequest) -> Option<Draw> {
    let Pick::Draw(at) = request.pick else { return None };
    let temperature = request.temperature;
    // What is smaller has no finite inverse.
    let valid = (0.0..1.0).contains(&at) && temperature.is_normal() && temperature > 0.0;
    (request.is_plain() && valid && !request.penalty_mass.is_nan()).then_some(Draw { row, temperature, at })
}

/// The rows that are asked for, drawn from on the host.
fn fetched(logits: &Tensor, requests: &[&Asked]) -> Result<Vec<Sampled>, ModelError> {
    let rows = distinct(requests.iter().map(|(row, _)| *row));
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let index: Vec<u32> = rows.iter().map(|row| *row as u32).collect();
    let picked = Tensor::new(index, logits.device()).and_then(|index| logits.index_select(&index, 0));
    let place = |row: &usize| rows.binary_search(row).unwrap_or_default();
    let moved: Vec<Asked> = requests.iter().map(|(row, request)| (place(row), request.clone())).collect();
    on_host(&to_rows(&picked.map_err(backend)?)?, &moved)
}

/// On all cores; a row that several requests name is prepared once.
fn on_host(logits: &Rows, requests: &[Asked]) -> Result<Vec<Sampled>, ModelError> {
    let (data, width) = (logits.to_host()?, logits.width());
    let rows = distinct(requests.iter().map(|(row, _)| *row));
    let prepared = |row: &usize| RowSampler::new(&data[row * width..(row + 1) * width]);
    let samplers = rows.par_iter().map(prepared).collect::<Result<Vec<_>, _>>()?;
    let draw = |(row, request): &Asked| samplers[rows.binary_search(row).unwrap_or_default()].sample(request);
    requests.par_iter().map(draw).collect()
}

/// These rows in rising order, each once.
fn distinct(rows: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut rows: Vec<usize> = rows.collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use inferenceguard_model::sample_row;

    #[test]
    fn the_tensor_library_draws_what_the_host_draws() -> Result<(), Box<dyn std::error::Error>> {
        // Not a multiple of a block; the second row is peaked, the third has tokens that cannot be.
        let (rows, width) = (3, 1000);
        let wave = |i: usize| ((i * 7919) % 1013) as f32 / 200.0;
        let mut data: Vec<f32> = (0..rows * width).map(wave).collect();
        data[width + 777] = 40.0;
        data[2 * width..2 * width + 300].fill(f32::NEG_INFINITY);
        // On a GPU where this is compiled for one: without one the test fails.
        let device = if cfg!(feature = "cuda") { Device::new_cuda(0)? } else { Device::Cpu };
        let tensor = Tensor::from_slice(&data, (rows, width), &device)?;
        let base = SampleRequest::plain(Pick::Rank(0));
        let draw = |i: usize| Pick::Draw((i as f64 + 0.5) / 600.0);
        let repeated = vec![0, 5, 999, 1000];
        let request = |i: usize| match i % 7 {
            0 => base.clone(),
            1 => SampleRequest { top_p: 0.9, pick: Pick::Draw(0.5), ..base.clone() },
            2 => SampleRequest { temperature: 0.7, pick: draw(i), ..base.clone() },
            3 if i.is_multiple_of(2) => SampleRequest { temperature: 1e-39, pick: Pick::Draw(0.3), ..base.clone() },
            4 => SampleRequest { min_p: 0.3, pick: draw(i), ..base.clone() },
            5 => SampleRequest { repetition_penalty: 8.0, repeated: repeated.clone(), pick: draw(i), ..base.clone() },
            _ => SampleRequest { pick: draw(i), ..base.clone() },
        };
        let requests: Vec<Asked> = (0..600).map(|i| (i * 7 % rows, request(i))).collect();
        let found = on_device(&tensor, &requests)?;
        assert_eq!(found.len(), requests.len());
        for ((row, request), found) in requests.iter().zip(found) {
            let expected = sample_row(&data[row * width..(row + 1) * width], request)?;
            assert_eq!(found.token, expected.token, "row {row}, {request:?}");
            assert!((found.logprob - expected.logprob).abs() < 1e-5);
        }
        // The ends, where rounding may show: the first token that has weight, and another token that has some.
        let ends = |at| Draw { row: 2, temperature: 1.0, at };
        let [first, last] = &device_draw::draw(&tensor, &[0.0, 1.0 - f64::EPSILON / 2.0].map(ends))?[..] else {
            return Err("two draws".into());
        };
        assert!(
            first.token == 300 && last.token as usize >= width - 2 && last.logprob.is_finite(),
            "{first:?} {last:?}"
        );
        Ok(())
    }

    #[test]
    fn logits_that_are_no_numbers_are_refused() -> Result<(), Box<dyn std::error::Error>> {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut data = vec![bad; 300];
            if bad != f32::NEG_INFINITY {
                data[1..].fill(0.0);
            }
            let tensor = Tensor::from_slice(&data, (1, 300), &Device::Cpu)?;
            let found = device_draw::draw(&tensor, &[Draw { row: 0, temperature: 1.0, at: 0.999 }]);
            assert!(matches!(found, Err(ModelError::NotFinite(_))), "{bad}: {found:?}");
        }
        Ok(())
    }
}
