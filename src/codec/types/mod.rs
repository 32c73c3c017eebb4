//! The forms of single types.

pub(crate) mod canonical;
pub(crate) mod decimal;
pub(crate) mod epoch;
pub mod json;
pub(crate) mod jsonb;
pub mod numeric;
pub mod temporal;
pub mod uuid;
