//! A terminal of 80 columns for the program, and the text that it finally shows.

use rustix::fs::OFlags;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::thread;

/// Runs `command` on a terminal, with `input` typed. Returns the exit code and the screen.
pub(crate) fn run_on_terminal(mut command: Command, input: &str) -> (i32, String) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::NOCTTY.bits().cast_signed())
        .open(name)
        .unwrap();
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).unwrap();
    let mut modes = tcgetattr(&terminal).unwrap();
    modes.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Now, &modes).unwrap();

    let mut controller = File::from(controller);
    controller.write_all(input.as_bytes()).unwrap();
    command.env("TERM", "xterm").stdin(terminal.try_clone().unwrap());
    command.stdout(terminal.try_clone().unwrap()).stderr(terminal);
    let mut child = command.spawn().unwrap();
    // Only the child keeps the terminal open now, so that reading ends with it.
    drop(command);
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = controller.read(&mut part) {
            bytes.extend_from_slice(&part[..length]);
        }
        bytes
    });
    let code = child.wait().unwrap().code().unwrap();
    (code, screen(&String::from_utf8(reader.join().unwrap()).unwrap()))
}

/// The text of a terminal after `output`, without colors. Long lines are not wrapped.
fn screen(output: &str) -> String {
    let mut lines: Vec<Vec<char>> = vec![Vec::new()];
    let (mut row, mut column) = (0_usize, 0_usize);
    let mut characters = output.chars();
    while let Some(character) = characters.next() {
        match character {
            '\r' => column = 0,
            '\n' => row += 1,
            '\u{1b}' => {
                // "[", a number, and a letter that ends the sequence.
                let mut sequence = String::new();
                for part in characters.by_ref() {
                    sequence.extend((part != '[').then_some(part));
                    if part.is_ascii_alphabetic() {
                        break;
                    }
                }
                let count = sequence.trim_end_matches(char::is_alphabetic).parse().unwrap_or(1);
                match sequence.chars().next_back() {
                    Some('A') => row = row.saturating_sub(count),
                    Some('B') => row += count,
                    Some('C') => column += count,
                    Some('D') => column = column.saturating_sub(count),
                    Some('K') => lines[row].clear(),
                    _ => {}
                }
            }
            character => {
                let line = &mut lines[row];
                line.resize(line.len().max(column + 1), ' ');
                line[column] = character;
                column += 1;
            }
        }
        lines.resize(lines.len().max(row + 1), Vec::new());
    }
    let lines: Vec<String> =
        lines.iter().map(|line| line.iter().collect::<String>().trim_end().to_owned()).collect();
    format!("{}\n", lines.join("\n").trim_end())
}
