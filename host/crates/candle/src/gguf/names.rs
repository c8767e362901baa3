//! What llama.cpp calls the tensors of a Hugging Face folder, and how it orders their rows.

use super::{Gguf, gemma};

/// Parts of a block: Hugging Face, GGUF.
const BLOCK: [(&str, &str); 11] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

/// Parts of a block of Gemma 3: two more norms, one of them with a name that has another meaning in the other families.
const GEMMA: [(&str, &str); 3] = [
    ("post_attention_layernorm", "post_attention_norm"),
    ("pre_feedforward_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
];

/// The names that a tensor may have in a GGUF file of an architecture, likeliest first. Names without a counterpart stay.
pub(super) fn in_file(name: &str, architecture: &str) -> Vec<String> {
    let fixed: &[&str] = match name {
        "model.embed_tokens.weight" => &["token_embd.weight"],
        "model.norm.weight" => &["output_norm.weight"],
        "lm_head.weight" => &["output.weight"],
        "score.weight" => &["cls.output.weight", "cls.weight", "score.weight"],
        other => return vec![in_block(other, architecture).unwrap_or_else(|| other.to_owned())],
    };
    fixed.iter().map(|&name| name.to_owned()).collect()
}

/// `model.layers.3.mlp.up_proj.weight` to `blk.3.ffn_up.weight`.
fn in_block(name: &str, architecture: &str) -> Option<String> {
    let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
    let (part, kind) = rest.rsplit_once('.')?;
    let own: &[_] = if architecture == gemma::NAME { &GEMMA } else { &[] };
    let (_, part) = own.iter().chain(&BLOCK).find(|(known, _)| *known == part)?;
    Some(format!("blk.{layer}.{part}.{kind}"))
}

/// The order of rows in the file.
pub(super) enum Layout {
    /// As in a Hugging Face folder.
    Same,
    /// The two halves of each head are interleaved: row `2 i + s` of a head is row `i + s * head_dim / 2` elsewhere.
    Interleaved {
        /// Rows of a head.
        head: usize,
    },
}

impl Layout {
    /// Files of the architecture llama have the rows of queries and keys, and their biases, interleaved.
    pub(super) fn of(gguf: &Gguf, name: &str, shape: &[usize]) -> Self {
        let heads = if name.contains(".self_attn.q_proj.") {
            gguf.size("attention.head_count")
        } else if name.contains(".self_attn.k_proj.") {
            gguf.size("attention.head_count_kv").or_else(|| gguf.size("attention.head_count"))
        } else {
            None
        };
        let rows = shape.first().copied().unwrap_or(0);
        let head = heads.and_then(|heads| rows.checked_div(heads)).filter(|_| gguf.architecture() == "llama");
        head.filter(|head| *head > 0 && head.is_multiple_of(2)).map_or(Self::Same, |head| Self::Interleaved { head })
    }

    /// Rows of `width` in Hugging Face's order.
    pub(super) fn ordered<T: Copy>(&self, data: &[T], width: usize) -> Vec<T> {
        let Self::Interleaved { head } = *self else { return data.to_vec() };
        let mut to = Vec::with_capacity(data.len());
        for rows in data.chunks(head * width.max(1)) {
            let rows: Vec<&[T]> = rows.chunks(width.max(1)).collect();
            [0, 1].iter().for_each(|half| rows.iter().skip(*half).step_by(2).for_each(|row| to.extend_from_slice(row)));
        }
        to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let llama = |name| in_file(name, "llama");
        assert_eq!(llama("model.layers.12.self_attn.q_norm.weight"), ["blk.12.attn_q_norm.weight"]);
        assert_eq!(llama("model.layers.0.mlp.down_proj.bias"), ["blk.0.ffn_down.bias"]);
        assert_eq!(llama("lm_head.weight"), ["output.weight"]);
        assert_eq!(llama("score_head.bias"), ["score_head.bias"]);
        assert_eq!(llama("model.layers.x"), ["model.layers.x"]);
        let norm = "model.layers.3.post_attention_layernorm.weight";
        assert_eq!(llama(norm), ["blk.3.ffn_norm.weight"]);
        assert_eq!(in_file(norm, gemma::NAME), ["blk.3.post_attention_norm.weight"]);
        assert_eq!(in_file("model.layers.3.pre_feedforward_layernorm.weight", gemma::NAME), ["blk.3.ffn_norm.weight"]);
        assert_eq!(in_file("model.layers.3.mlp.up_proj.weight", gemma::NAME), ["blk.3.ffn_up.weight"]);
    }

    #[test]
    fn interleaved_rows_come_apart() {
        let layout = Layout::Interleaved { head: 4 };
        let rows = [0, 0, 2, 2, 1, 1, 3, 3, 4, 4, 6, 6, 5, 5, 7, 7];
        assert_eq!(layout.ordered(&rows, 2), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]);
        assert_eq!(Layout::Same.ordered(&rows, 2), rows);
    }
}
