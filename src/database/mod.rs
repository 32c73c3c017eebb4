//! The seam: what both databases can do, as traits.
