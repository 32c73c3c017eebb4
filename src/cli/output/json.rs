//! The result as JSON: the report or the plan, the exit code, and the error.

use crate::cli::exit_code::Exit;
use crate::cli::output::output_file::{self, Output};
use crate::error::{Error, Result};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Document<'a, T> {
    #[serde(flatten)]
    data: Option<&'a T>,
    exit_code: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorData<'a>>,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    message: &'a str,
    causes: &'a [String],
    hints: &'a [String],
}

/// Writes `data` with the exit code and the error to `output`. Errors: the output cannot be
/// written. A closed pipe is not an error.
pub(crate) fn write<T: Serialize>(
    output: &Output,
    stdout: &mut dyn Write,
    data: Option<&T>,
    exit: Exit,
    error: Option<&Error>,
) -> Result<()> {
    let error = error.map(|error| ErrorData {
        message: error.message(),
        causes: error.causes(),
        hints: error.hints(),
    });
    let document = Document { data, exit_code: exit.code(), error };
    let failed = |cause: &dyn std::fmt::Display| {
        Error::failed("cannot write the result as JSON").caused_by(cause)
    };
    let mut text = serde_json::to_vec_pretty(&document).map_err(|cause| failed(&cause))?;
    text.push(b'\n');
    match output {
        Output::File(path) => output_file::write(path, &text),
        Output::Stdout => match stdout.write_all(&text).and_then(|()| stdout.flush()) {
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(failed(&cause)),
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Data {
        rows: u64,
    }

    fn text(data: Option<&Data>, exit: Exit, error: Option<&Error>) -> String {
        let mut out = Vec::new();
        write(&Output::Stdout, &mut out, data, exit, error).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_document_has_the_data_the_exit_code_and_the_error() {
        let written = text(Some(&Data { rows: 7 }), Exit::Done, None);
        assert_eq!(written, "{\n  \"rows\": 7,\n  \"exit_code\": 0\n}\n");
        let error = Error::refused("no").caused_by("why").hint("do");
        let written = text(None, Exit::Refused, Some(&error));
        let value: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(
            value,
            serde_json::json!({
                "exit_code": 4,
                "error": {"message": "no", "causes": ["why"], "hints": ["do"]}
            })
        );
    }

    #[test]
    fn a_file_gets_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let output = Output::File(path.clone());
        let mut stdout = Vec::new();
        write(&output, &mut stdout, Some(&Data { rows: 7 }), Exit::Done, None).unwrap();
        let written = std::fs::read_to_string(path).unwrap();
        assert_eq!(written, text(Some(&Data { rows: 7 }), Exit::Done, None));
        assert!(stdout.is_empty());
    }
}
