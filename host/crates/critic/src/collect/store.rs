//! A folder of trajectories, one file per batch of prompts. A run that was killed goes on with the first file missing.

use super::shard::Shard;
use crate::{
    error::{CriticError, Result},
    files,
    setting::Setting,
};
use inferenceguard_model::LatentSelector;
use safetensors::SafeTensors;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The folder, and what its files must be made with.
pub(super) struct Store {
    folder: PathBuf,
    setting: Setting,
    latents: Vec<LatentSelector>,
    constraints: usize,
}

impl Store {
    pub(super) fn open(
        folder: &Path,
        setting: Setting,
        latents: &[LatentSelector],
        constraints: usize,
    ) -> Result<Self> {
        files::folder(folder)?;
        Ok(Self { folder: folder.to_owned(), setting, latents: latents.to_vec(), constraints })
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{index:05}.safetensors"))
    }

    /// The file of this number. A file that was cut short (by a full disk, or a machine that went down) is removed, and as
    /// good as missing; one of another model or setting is refused.
    pub(super) fn read(&self, index: usize) -> Result<Option<Shard>> {
        let path = self.path(index);
        let Some(bytes) = files::read(&path)? else { return Ok(None) };
        let (Ok((_, header)), Ok(file)) = (SafeTensors::read_metadata(&bytes), SafeTensors::deserialize(&bytes)) else {
            fs::remove_file(&path).map_err(CriticError::file("remove", &path))?;
            return Ok(None);
        };
        self.setting.check(&path, header.metadata().as_ref())?;
        Shard::read(&file, &self.latents, self.constraints, &path).map(Some)
    }

    pub(super) fn write(&self, index: usize, shard: &Shard) -> Result<()> {
        let path = self.path(index);
        let metadata = self.setting.metadata();
        let bytes = shard.to_bytes(&self.latents, self.constraints, metadata).map_err(|error| {
            let expected = "tensors whose sizes fit a file".to_owned();
            CriticError::Damaged { path: path.clone(), found: error.to_string(), expected }
        })?;
        files::write(&path, &bytes)
    }
}
