//! Where the configuration of a model is: in config.json, or in the metadata of a GGUF file.

use crate::{CandleError, DecoderConfig, ModelFiles, gguf::Gguf};

impl DecoderConfig {
    /// Reads config.json; of a GGUF file that has none beside it, the file's metadata.
    ///
    /// # Errors
    /// When the file is missing, malformed, or asks for something that is not implemented; when config.json and a GGUF
    /// file disagree.
    pub fn read(files: &ModelFiles) -> Result<Self, CandleError> {
        if let Some(gguf) = Gguf::find(files)? {
            return gguf.config(files);
        }
        let value = files.json("config.json", "config.json")?;
        Self::parse(&files.path().join("config.json"), &value)
    }
}
