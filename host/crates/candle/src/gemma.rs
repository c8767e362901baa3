//! What Gemma 3 has beside the other families, and how its configuration says so.
//!
//! - Layers with a window and layers without take turns; each kind turns positions by a base of its own.
//! - Queries and keys are normed per head; the attention's answer and the feed-forward layer's are normed as well.
//! - Norms of a Hugging Face folder are stored less one. A GGUF file has them as they are used.
//! - Embeddings are multiplied by the root of their width, and queries divided by the root of a number in the configuration.
//! - The gate of the feed-forward layer is the tangent form of GELU.
//!
//! Caps on scores, and attention in both directions, are not computed: a configuration that asks for them is refused.

use crate::{
    CandleError, Family,
    fields::Fields,
    rope::{Rope, RopeScaling},
};

/// Windows: of this many layers the last one has none, unless the configuration says otherwise.
const PERIOD: usize = 6;
/// The base of the layers with a window, unless the configuration says otherwise.
const LOCAL_BASE: f64 = 10_000.0;
/// The base of the layers without.
const BASE: f64 = 1_000_000.0;
/// Numbers per head, and what queries are divided by the root of, unless the configuration says otherwise.
pub(crate) const HEAD: usize = 256;

/// The facts of a Gemma 3 beside those of every decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Gemma {
    /// Angles of positions on layers with a window.
    pub local: Rope,
    /// Queries are divided by the root of this number.
    pub query_scalar: f64,
}

impl Family {
    /// The key of config.json that names the activation of the gate, and the names of the activation that is computed.
    pub(crate) fn activation(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Gemma3 => ("hidden_activation", &["gelu_pytorch_tanh"]),
            _ => ("hidden_act", &["silu", "swish"]),
        }
    }
}

impl Gemma {
    /// Reads config.json: the angles of layers without a window, and the other facts.
    pub(crate) fn parse(
        fields: &Fields<'_>,
        head_dim: usize,
        max_positions: usize,
    ) -> Result<(Rope, Self), CandleError> {
        refuse_unsupported(fields)?;
        let (global, local) = ropes(fields, head_dim, max_positions)?;
        if local.scaling != RopeScaling::Default {
            let expected = "default on layers with a window (sliding_attention)";
            return Err(fields.wrong("rope_type", format!("{:?}", local.scaling), expected));
        }
        Ok((global, Self { local, query_scalar: fields.number_or("query_pre_attn_scalar", HEAD as f64)? }))
    }
}

/// The angles of layers without and with a window: by kind of layer in `rope_parameters`, or in the older spelling.
fn ropes(fields: &Fields<'_>, head_dim: usize, max_positions: usize) -> Result<(Rope, Rope), CandleError> {
    let read = |inner: &Fields<'_>, base: f64| Rope::of(inner, base, head_dim, max_positions);
    if let Some(by_kind) = fields.inside("rope_parameters")? {
        let kind = |name: &str, base: f64| match by_kind.inside(name)? {
            Some(inner) => read(&inner, base),
            None => {
                Err(fields.wrong("rope_parameters", format!("no `{name}`"), "full_attention and sliding_attention"))
            }
        };
        return Ok((kind("full_attention", BASE)?, kind("sliding_attention", LOCAL_BASE)?));
    }
    let base = fields.number_or("rope_theta", BASE)?;
    let plain = |theta: f64| Rope { theta, scaling: RopeScaling::Default, head_dim };
    let global = fields.inside("rope_scaling")?.map_or_else(|| Ok(plain(base)), |inner| read(&inner, base))?;
    Ok((global, plain(fields.number_or("rope_local_base_freq", LOCAL_BASE)?)))
}

fn refuse_unsupported(fields: &Fields<'_>) -> Result<(), CandleError> {
    for key in ["attn_logit_softcapping", "final_logit_softcapping"] {
        if let Some(found) = fields.get(key) {
            return Err(fields.wrong(key, found, "null: scores and logits without a cap"));
        }
    }
    if fields.flag_or("use_bidirectional_attention", false)? {
        return Err(fields.wrong("use_bidirectional_attention", true, "false: attention to what came before"));
    }
    Ok(())
}

/// Which layers have a window where `layer_types` does not say it: all but the last one of each period.
pub(crate) fn pattern(fields: &Fields<'_>, layers: usize) -> Result<Vec<bool>, CandleError> {
    let key = ["sliding_window_pattern", "_sliding_window_pattern"].into_iter().find(|key| fields.get(key).is_some());
    let period = key.map_or(Ok(PERIOD), |key| fields.size(key))?;
    Ok((1..=layers).map(|layer| !layer.is_multiple_of(period)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DecoderConfig;
    use serde_json::{Value, json};
    use std::path::Path;

    fn config(change: impl FnOnce(&mut Value)) -> Result<DecoderConfig, CandleError> {
        let mut value = json!({
            "architectures": ["Gemma3ForCausalLM"], "hidden_size": 640, "intermediate_size": 2048,
            "num_hidden_layers": 18, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,
            "vocab_size": 262_144, "max_position_embeddings": 32_768, "rms_norm_eps": 1e-6, "eos_token_id": [1, 106],
            "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256, "rope_theta": 1_000_000.0,
            "rope_local_base_freq": 10_000.0, "rope_scaling": null, "sliding_window": 512,
            "attn_logit_softcapping": null, "final_logit_softcapping": null, "use_bidirectional_attention": false,
        });
        change(&mut value);
        DecoderConfig::parse(Path::new("config.json"), &value)
    }

    #[test]
    fn the_smallest_model_of_the_family_is_read() {
        let found = config(|_| {}).unwrap();
        let gemma = found.gemma.clone().unwrap();
        assert_eq!((found.rope.theta, gemma.local.theta, gemma.query_scalar), (1e6, 1e4, 256.0));
        assert_eq!((found.head_dim, found.tied, found.qk_norm, found.qkv_bias), (256, true, true, false));
        assert_eq!((found.context, found.eos.as_slice()), (32_768, [1, 106].as_slice()));
        let global: Vec<usize> = (0..18).filter(|layer| found.windows[*layer].is_none()).collect();
        assert_eq!(global, [5, 11, 17]);
        assert_eq!(found.windows[0], Some(512));
    }

    #[test]
    fn old_and_new_spellings_are_one() {
        let old = config(|_| {}).unwrap();
        let new = config(|value| {
            let map = value.as_object_mut().unwrap();
            for key in ["rope_theta", "rope_local_base_freq", "rope_scaling"] {
                map.remove(key);
            }
            let plain = |base: f64| json!({"rope_type": "default", "rope_theta": base});
            map.insert(
                "rope_parameters".into(),
                json!({"full_attention": plain(1e6), "sliding_attention": plain(1e4)}),
            );
            let kinds = (1..=18).map(|layer| if layer % 6 == 0 { "full_attention" } else { "sliding_attention" });
            map.insert("layer_types".into(), kinds.collect::<Vec<_>>().into());
        });
        assert_eq!(new.unwrap(), old);
        let other = config(|value| value["_sliding_window_pattern"] = json!(3)).unwrap();
        assert!(other.windows[2].is_none() && other.windows[5].is_none() && other.windows[4].is_some());
    }

    #[test]
    fn larger_models_stretch_positions_of_layers_without_a_window_only() {
        let found = config(|value| value["rope_scaling"] = json!({"rope_type": "linear", "factor": 8.0})).unwrap();
        assert_eq!(found.rope.scaling, RopeScaling::Linear { factor: 8.0 });
        assert_eq!(found.gemma.unwrap().local.scaling, RopeScaling::Default);
        assert_eq!(found.context, 32_768, "the configuration names what the stretch allows");
    }

    #[test]
    fn what_is_not_computed_is_refused_by_its_name() {
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 8] = [
            ("attn_logit_softcapping", |c| c["attn_logit_softcapping"] = json!(50.0)),
            ("final_logit_softcapping", |c| c["final_logit_softcapping"] = json!(30.0)),
            ("use_bidirectional_attention", |c| c["use_bidirectional_attention"] = json!(true)),
            ("hidden_activation", |c| c["hidden_activation"] = json!("silu")),
            ("sliding_window", |c| c["sliding_window"] = Value::Null),
            ("layer_types", |c| c["layer_types"] = json!(vec!["chunked_attention"; 18])),
            ("rope_parameters", |c| c["rope_parameters"] = json!({"full_attention": {"rope_theta": 1e6}})),
            ("query_pre_attn_scalar", |c| c["query_pre_attn_scalar"] = json!(0)),
        ];
        for (field, change) in cases {
            match config(change) {
                Err(CandleError::Field { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{field}: {other:?}"),
            }
        }
        let stretched = json!({
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4},
        });
        let refused = config(|c| c["rope_parameters"] = stretched).unwrap_err().to_string();
        assert!(refused.contains("rope_type") && refused.contains("sliding_attention"), "{refused}");
    }
}
