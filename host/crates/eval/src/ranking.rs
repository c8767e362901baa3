//! How well scores put what is true above what is not.

/// The chance that an example that came true has a higher score than an example that did not; ties count half.
/// `None` where one of the classes is missing.
#[must_use]
pub fn auc(pairs: &[(f64, bool)]) -> Option<f64> {
    let mut order: Vec<&(f64, bool)> = pairs.iter().collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let positives = pairs.iter().filter(|(_, true_)| *true_).count();
    let negatives = pairs.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let (mut ranks, mut below) = (0.0, 0usize);
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let trues = tied.iter().filter(|(_, true_)| *true_).count();
        let falses = tied.len() - trues;
        ranks += trues as f64 * (below as f64 + falses as f64 / 2.0);
        below += falses;
    }
    Some(ranks / (positives as f64 * negatives as f64))
}
