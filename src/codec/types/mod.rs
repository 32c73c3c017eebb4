//! The forms of single types.

pub mod decimal;
pub mod epoch;
pub mod json;
pub mod jsonb;
pub mod numeric;
pub mod temporal;
pub mod uuid;
