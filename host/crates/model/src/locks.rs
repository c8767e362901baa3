//! Locks that outlive a panic.

use std::sync::{LockResult, Mutex, MutexGuard, PoisonError};

/// Locks a mutex, also after a thread panicked while it held it. Take it for values that are valid between any two statements: a
/// value that a panic leaves half changed is for [`Mutex::lock`], whose error shows the panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    unpoisoned(mutex.lock())
}

/// What a lock or a wait gives, also after a thread panicked while it held the lock. It is for values as [`lock`] is.
pub fn unpoisoned<T>(result: LockResult<T>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
