//! The fields of an object that arrives in pieces.

use super::{ScanError, cursor::Cursor};

/// Reads what stands around the values of an object: braces, names, colons and commas.
#[derive(Debug, Default)]
pub(super) struct Fields {
    at: At,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum At {
    #[default]
    Begin,
    FirstName,
    Name,
    InName,
    Next,
}

/// What comes next in an object.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// A field of this name; the cursor stands before the colon of its value.
    Field(String),
    /// The object's end. Another object may follow.
    End,
}

impl Fields {
    /// What comes next; nothing if it has not arrived. The value of the field before must have been read.
    pub(super) fn next(&mut self, cursor: &mut Cursor) -> Result<Option<Part>, ScanError> {
        loop {
            if self.at == At::InName {
                let Some(name) = cursor.value()? else { return Ok(None) };
                self.at = At::Next;
                let name = serde_json::from_slice(&name).map_err(|_| cursor.expected("a field name"))?;
                return Ok(Some(Part::Field(name)));
            }
            let Some(byte) = cursor.peek() else { return Ok(None) };
            self.at = match (self.at, byte) {
                (At::Begin, b'{') => At::FirstName,
                (At::FirstName | At::Name, b'"') => {
                    self.at = At::InName;
                    continue;
                }
                (At::FirstName | At::Next, b'}') => At::Begin,
                (At::Next, b',') => At::Name,
                (At::Begin, _) => return Err(cursor.expected("an object")),
                (At::FirstName | At::Name | At::InName, _) => return Err(cursor.expected("a field name")),
                (At::Next, _) => return Err(cursor.expected("a comma or the end of the object")),
            };
            cursor.step();
            if self.at == At::Begin {
                return Ok(Some(Part::End));
            }
        }
    }

    /// Whether no object is open.
    pub(super) fn is_outside(&self) -> bool {
        self.at == At::Begin
    }
}
