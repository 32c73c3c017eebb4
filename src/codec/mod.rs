//! Row bytes: values, tuples, batches, blocks and digests. No I/O, no database crate.
