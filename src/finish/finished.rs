//! The result of the finish.

use crate::report::StepReport;
use crate::schema::LeftOut;

#[derive(Debug, Clone, Default)]
pub(crate) struct Finished {
    /// The steps in the order in which they ended.
    pub(crate) steps: Vec<StepReport>,
    /// Objects that could not be migrated after all.
    pub(crate) left_out: Vec<LeftOut>,
}
