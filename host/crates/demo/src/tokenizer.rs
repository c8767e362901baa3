//! The demo models' tokenizer: byte-level BPE trained on the world's own text.

use std::path::Path;

use serde_json::json;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::processors::PostProcessorWrapper;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, PreTokenizerWrapper, TokenizerBuilder, TokenizerImpl};

use crate::error::{Error, Result};
use crate::world::{Split, World};

/// Fills up batches.
pub const PAD: u32 = 0;
/// Opens every sequence.
pub const BOS: u32 = 1;
/// Ends every answer.
pub const EOS: u32 = 2;

/// The chat template (Jinja) of all demo models. The answer follows the colon without a space.
pub const CHAT_TEMPLATE: &str = "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ASSISTANT:' }}{% else %}{{ message['content'] + eos_token }}{% endif %}{% endfor %}";

type Inner = TokenizerImpl<BPE, NormalizerWrapper, PreTokenizerWrapper, PostProcessorWrapper, DecoderWrapper>;

/// The tokenizer and the one template its models are trained with.
#[derive(Debug, Clone)]
pub struct DemoTokenizer(Inner);

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Tokenizer(error.to_string())
}

impl DemoTokenizer {
    /// Trains on training prompts and answers; the same world and size give the same tokenizer.
    ///
    /// # Errors
    /// When the tokenizers library fails, such as for a vocabulary that is too small.
    pub fn train(world: &World, vocab_size: usize) -> Result<Self> {
        let special = ["<pad>", "<s>", "</s>"].map(|token| AddedToken::from(token, true));
        let mut trainer = BpeTrainer::builder()
            .show_progress(false)
            .vocab_size(vocab_size)
            .min_frequency(2)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens(special.to_vec())
            .build();
        let mut inner: Inner = TokenizerBuilder::new()
            .with_model(BPE::default())
            .with_normalizer(None)
            .with_pre_tokenizer(Some(byte_level().into()))
            .with_post_processor(Some(bos_template()?.into()))
            .with_decoder(Some(byte_level().into()))
            .build()
            .map_err(failed)?;
        let prompts = world.split(Split::Train);
        let text = prompts.into_iter().flat_map(|prompt| {
            [chat(&prompt.text), world.answer(prompt, 0).text(), world.varied_answer(prompt, 0).text()]
        });
        let text: Vec<String> = text.collect();
        inner.train(&mut trainer, text.into_iter()).map_err(failed)?;
        Ok(Self(inner))
    }

    /// Ids of the begin token and the prompt in the chat template.
    ///
    /// # Errors
    /// When the tokenizers library fails.
    pub fn prompt_ids(&self, prompt: &str) -> Result<Vec<u32>> {
        let encoding = self.0.encode(chat(prompt), true).map_err(failed)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids of an answer, without end token, and the byte offset where each ends.
    ///
    /// # Errors
    /// When the tokenizers library fails.
    pub fn answer_ids(&self, answer: &str) -> Result<(Vec<u32>, Vec<usize>)> {
        let encoding = self.0.encode(answer, false).map_err(failed)?;
        let ends = encoding.get_offsets().iter().map(|(_, end)| *end).collect();
        Ok((encoding.get_ids().to_vec(), ends))
    }

    /// The text of ids; special tokens are left out.
    ///
    /// # Errors
    /// When the tokenizers library fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.0.decode(ids, true).map_err(failed)
    }

    /// Number of entries.
    pub fn vocab_size(&self) -> usize {
        self.0.get_vocab_size(true)
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json` into a folder.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        self.0.save(folder.join("tokenizer.json"), false).map_err(failed)?;
        let config = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "<pad>",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "add_bos_token": true,
            "add_eos_token": false,
            "clean_up_tokenization_spaces": false,
            "model_max_length": 512,
            "chat_template": CHAT_TEMPLATE,
        });
        let path = folder.join("tokenizer_config.json");
        let text = format!("{config:#}\n");
        std::fs::write(&path, text).map_err(Error::file("write", &path))
    }

    /// Reads `tokenizer.json` of a folder.
    ///
    /// # Errors
    /// When the file cannot be read, or holds no tokenizer.
    pub fn load(folder: &Path) -> Result<Self> {
        Inner::from_file(folder.join("tokenizer.json")).map(Self).map_err(failed)
    }
}

/// The prompt in the chat template, without the begin token.
fn chat(prompt: &str) -> String {
    format!("USER: {prompt} ASSISTANT:")
}

fn byte_level() -> ByteLevel {
    ByteLevel::new(false, true, true)
}

fn bos_template() -> Result<TemplateProcessing> {
    TemplateProcessing::builder()
        .try_single("<s> $A")
        .map_err(failed)?
        .special_tokens(vec![("<s>", BOS)])
        .build()
        .map_err(failed)
}
