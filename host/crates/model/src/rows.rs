//! Tables of f32 that may stay on a device.

use crate::ModelError;
use std::{any::Any, ops::Range, sync::Arc};

/// A table of a back end's own kind.
pub trait DeviceRows: Send + Sync {
    /// Copies all values to the host, row by row.
    ///
    /// # Errors
    /// When the device fails.
    fn to_host(&self) -> Result<Vec<f32>, ModelError>;

    /// For the back end to find its own table again.
    fn as_any(&self) -> &dyn Any;
}

#[derive(Clone)]
enum Storage {
    /// All numbers of a table, and which of its rows come first here.
    Host(Arc<Vec<f32>>, usize),
    Device(Arc<dyn DeviceRows>),
}

/// `len` rows of `width` numbers: latents or logits. Clones are the same table, not copies.
#[derive(Clone)]
pub struct Rows {
    len: usize,
    width: usize,
    storage: Storage,
}

impl Rows {
    /// A table on the host. `data` is row-major.
    ///
    /// # Errors
    /// When `data` is not `len * width` long.
    pub fn host(len: usize, width: usize, data: Vec<f32>) -> Result<Self, ModelError> {
        check_len(len, width, data.len())?;
        Ok(Self { len, width, storage: Storage::Host(Arc::new(data), 0) })
    }

    /// A table on a device.
    #[must_use]
    pub fn device(len: usize, width: usize, rows: Box<dyn DeviceRows>) -> Self {
        Self { len, width, storage: Storage::Device(Arc::from(rows)) }
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers per row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Some neighbouring rows of a table on the host, without a copy; `None` for those on a device, and beyond the end.
    #[must_use]
    pub fn slice(&self, rows: Range<usize>) -> Option<Self> {
        let Storage::Host(data, first) = &self.storage else { return None };
        if rows.start > rows.end || rows.end > self.len {
            return None;
        }
        let storage = Storage::Host(Arc::clone(data), first + rows.start);
        Some(Self { len: rows.len(), width: self.width, storage })
    }

    /// The back end's own table, if this is one.
    #[must_use]
    pub fn as_device(&self) -> Option<&dyn Any> {
        match &self.storage {
            Storage::Host(..) => None,
            Storage::Device(rows) => Some(rows.as_any()),
        }
    }

    /// All values, row by row; a copy only if they are on a device.
    ///
    /// # Errors
    /// When the device fails or returns another count.
    pub fn to_host(&self) -> Result<std::borrow::Cow<'_, [f32]>, ModelError> {
        match &self.storage {
            Storage::Host(data, first) => {
                let own = first * self.width..(first + self.len) * self.width;
                Ok(data.get(own).unwrap_or_default().into())
            }
            Storage::Device(rows) => {
                let data = rows.to_host()?;
                check_len(self.len, self.width, data.len())?;
                Ok(data.into())
            }
        }
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows({} x {})", self.len, self.width)
    }
}

fn check_len(len: usize, width: usize, found: usize) -> Result<(), ModelError> {
    if len.checked_mul(width) == Some(found) {
        return Ok(());
    }
    Err(ModelError::Shape { what: "rows", expected: format!("{len} x {width}"), found: format!("{found} numbers") })
}
