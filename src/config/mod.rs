//! Configuration: text in, validated values out.
