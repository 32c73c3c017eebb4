"""Tests of scripts/check-layout, each on a tree of its own: python3 scripts/test_check_layout.py"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).with_name("check-layout")

# Enough folders of one size, so that none exceeds its share of the lines.
GOOD = {
    "lib.rs": "mod cli;\n",
    "main.rs": "use migrate::cli;\n",
    "error.rs": "pub struct Error;\n",
    "cli/mod.rs": "mod args;\nmod run;\n",
    "cli/args.rs": "use crate::run::{self, status::Status};\n",
    "cli/run.rs": "use super::args::Args;\nuse crate::error::Error;\n",
    "run/mod.rs": "pub mod status;\n",
    "run/status.rs": "use crate::sqlite;\n// use crate::cli::args;\n",
    "sqlite/mod.rs": "use crate::schema::{self, Table};\n\n#[cfg(test)]\nmod tests {\n    use crate::run;\n}\n",
    "schema/mod.rs": "use crate::error::Error;\n\nfn table() {}\n",
    "schema/tests.rs": "use crate::cli::args;\n",
    "config/mod.rs": "use crate::error::Error;\n\n\n\n\n",
    "codec/mod.rs": "use crate::schema::Table;\n\n\n\n",
    "verify/mod.rs": "use crate::codec;\n\n\n\n",
    "finish/mod.rs": "use crate::codec;\n\n\n\n",
}


class Layout(unittest.TestCase):
    def findings(self, changes):
        """What the script prints about the good tree with these files added or changed."""
        with tempfile.TemporaryDirectory() as folder:
            for name, text in {**GOOD, **changes}.items():
                file = Path(folder, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            result = subprocess.run(
                [sys.executable, "-B", SCRIPT, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        found = result.stdout.splitlines()
        self.assertEqual(result.returncode, 1 if found else 0, result.stderr)
        return found

    def test_a_good_tree_has_no_finding(self):
        self.assertEqual(self.findings({}), [])

    def test_an_upward_import_is_found_in_every_form(self):
        expected = ["upward import: schema::names uses run::status"]
        for text in [
            "use crate::run::status::Status;\n",
            "pub(crate) use crate::run::status;\n",
            "use crate::{error::Error, run::{\n    status::{Status as S, Other},\n}};\n",
            "fn f() -> crate::run::status::Status {}\n",
            "use super::super::run::status;\n",
        ]:
            self.assertEqual(self.findings({"schema/names.rs": text}), expected, text)

    def test_neighbors_of_one_line_do_not_import_each_other(self):
        found = self.findings({"postgres/mod.rs": "use crate::sqlite::X;\n"})
        self.assertEqual(found, ["upward import: postgres uses sqlite"])

    def test_a_circle_of_files_is_found(self):
        found = self.findings({"cli/args.rs": "use super::run::Run;\n"})
        self.assertEqual(len(found), 1)
        self.assertIn("cli::args -> cli::run", found[0])

    def test_a_circle_through_a_parent_is_found(self):
        found = self.findings({"run/mod.rs": "mod status;\npub use status::Status;\n", "run/status.rs": "use super::X;\n"})
        self.assertEqual(len(found), 1)
        self.assertTrue(found[0].startswith("circle: "), found)

    def test_a_folder_that_the_list_lacks_is_found(self):
        found = self.findings({"util/mod.rs": ""})
        self.assertEqual(found, ["src/util is not in the list of scripts/check-layout"])

    def test_long_files_and_full_folders_are_found(self):
        long = "\n" * 401
        spread = {f"{name}/mod.rs": "\n" * 400 for name in ("cli", "codec", "config", "finish", "schema", "verify")}
        found = self.findings({**spread, "run/status.rs": long})
        self.assertEqual(found, ["src/run/status.rs has 401 lines; the limit is 400"])
        entries = {f"cli/f{n}.rs": "" for n in range(13)}
        self.assertEqual(self.findings(entries), ["src/cli has 16 entries; the limit is 15"])

    def test_a_folder_with_too_many_lines_is_found(self):
        found = self.findings({"verify/deep/mod.rs": "\n" * 30})
        self.assertEqual(len(found), 2)
        self.assertRegex(found[0], r"^src/verify has \d\d\.\d% of the lines; the limit is 18%$")


unittest.main()
