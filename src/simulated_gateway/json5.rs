//! JSON5, as far as people write it into a configuration: comments, bare and single-quoted keys, trailing commas. The
//! complaints are those of the library that the gateway uses.

use serde_json::{Map, Number, Value};

/// The value, or the complaint.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    // Nearly everything is JSON, and a large document is read faster so.
    if let Ok(value) = serde_json::from_str(text) {
        return Ok(value);
    }
    let mut reader = Reader {
        rest: text.chars().collect::<Vec<_>>().into_iter().peekable(),
        line: 1,
        column: 0,
    };
    let value = reader.value()?;
    reader.skip()?;
    match reader.rest.peek() {
        None => Ok(value),
        Some(_) => Err(reader.wrong()),
    }
}

struct Reader {
    rest: std::iter::Peekable<std::vec::IntoIter<char>>,
    line: usize,
    column: usize,
}

impl Reader {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.next()?;
        if c == '\n' {
            self.line += 1;
            self.column = 0;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn peek(&mut self) -> Option<char> {
        self.rest.peek().copied()
    }

    /// A complaint about the next character.
    fn wrong(&mut self) -> String {
        let c = self.next();
        let (line, column) = (self.line, self.column);
        match c {
            Some(c) => format!("SyntaxError: JSON5: invalid character '{c}' at {line}:{column}"),
            None => format!(
                "SyntaxError: JSON5: invalid end of input at {line}:{}",
                column + 1
            ),
        }
    }

    fn skip(&mut self) -> Result<(), String> {
        while let Some(c) = self.peek() {
            if c.is_whitespace() || c == '\u{feff}' {
                self.next();
            } else if c == '/' {
                self.comment()?;
            } else {
                break;
            }
        }
        Ok(())
    }

    fn comment(&mut self) -> Result<(), String> {
        self.next();
        match self.peek() {
            Some('/') => {
                while self.peek().is_some_and(|c| c != '\n') {
                    self.next();
                }
            }
            Some('*') => {
                self.next();
                loop {
                    match self.next() {
                        None => return Err(self.wrong()),
                        Some('*') if self.peek() == Some('/') => {
                            self.next();
                            break;
                        }
                        Some(_) => {}
                    }
                }
            }
            Some(_) | None => return Err(self.wrong()),
        }
        Ok(())
    }

    fn value(&mut self) -> Result<Value, String> {
        self.skip()?;
        match self.peek() {
            Some('{') => self.object(),
            Some('[') => self.array(),
            Some('"' | '\'') => self.text().map(Value::String),
            Some(c) if c.is_ascii_digit() || ['-', '+', '.'].contains(&c) => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.word(),
            Some(_) | None => Err(self.wrong()),
        }
    }

    fn object(&mut self) -> Result<Value, String> {
        self.next();
        let mut object = Map::new();
        loop {
            self.skip()?;
            let key = match self.peek() {
                Some('}') => {
                    self.next();
                    return Ok(Value::Object(object));
                }
                Some('"' | '\'') => self.text()?,
                Some(c) if c.is_alphabetic() || c == '_' || c == '$' => self.name(),
                Some(_) | None => return Err(self.wrong()),
            };
            self.skip()?;
            if self.peek() != Some(':') {
                return Err(self.wrong());
            }
            self.next();
            let value = self.value()?;
            object.insert(key, value);
            self.separator('}')?;
        }
    }

    fn array(&mut self) -> Result<Value, String> {
        self.next();
        let mut items = Vec::new();
        loop {
            self.skip()?;
            if self.peek() == Some(']') {
                self.next();
                return Ok(Value::Array(items));
            }
            items.push(self.value()?);
            self.separator(']')?;
        }
    }

    fn separator(&mut self, end: char) -> Result<(), String> {
        self.skip()?;
        match self.peek() {
            Some(',') => {
                self.next();
                Ok(())
            }
            Some(c) if c == end => Ok(()),
            Some(_) | None => Err(self.wrong()),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self
            .peek()
            .filter(|c| c.is_alphanumeric() || *c == '_' || *c == '$')
        {
            name.push(c);
            self.next();
        }
        name
    }

    fn text(&mut self) -> Result<String, String> {
        let quote = self.next();
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.wrong()),
                c if c == quote => {
                    self.next();
                    return Ok(text);
                }
                Some('\\') => {
                    self.next();
                    self.escape(&mut text)?;
                }
                Some(c) => {
                    text.push(c);
                    self.next();
                }
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Result<(), String> {
        let Some(c) = self.peek() else {
            return Err(self.wrong());
        };
        self.next();
        match c {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            '\n' => {}
            'u' => {
                let mut code = 0;
                for _ in 0..4 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(16)) else {
                        return Err(self.wrong());
                    };
                    code = code * 16 + digit;
                    self.next();
                }
                text.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            other => text.push(other),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, String> {
        let mut digits = String::new();
        while let Some(c) = self
            .peek()
            .filter(|c| c.is_ascii_alphanumeric() || ['-', '+', '.'].contains(c))
        {
            digits.push(c);
            self.next();
        }
        let plain = digits.trim_start_matches('+');
        let hex = plain
            .strip_prefix("0x")
            .and_then(|hex| i64::from_str_radix(hex, 16).ok());
        let number = hex.or_else(|| plain.parse().ok()).map(Number::from);
        let number = number.or_else(|| plain.parse().ok().and_then(Number::from_f64));
        number.map(Value::Number).ok_or_else(|| self.wrong())
    }

    fn word(&mut self) -> Result<Value, String> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.peek() == word.chars().next() {
                for expected in word.chars() {
                    if self.peek() != Some(expected) {
                        return Err(self.wrong());
                    }
                    self.next();
                }
                return Ok(value);
            }
        }
        Err(self.wrong())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json5_is_read() {
        let text =
            "{agents:{'defaults':{maxConcurrent:3,},}, /* b */ x: [1, -2.5, 0x10,], t: 'a\\'b\\u00e4'} // c";
        let value = json!({"agents": {"defaults": {"maxConcurrent": 3}}, "x": [1, -2.5, 16], "t": "a'bä"});
        assert_eq!(parse(text).unwrap(), value);
    }

    #[test]
    fn complaints_read_as_recorded() {
        assert_eq!(
            parse("{not json").unwrap_err(),
            "SyntaxError: JSON5: invalid character 'j' at 1:6"
        );
        assert_eq!(
            parse("{").unwrap_err(),
            "SyntaxError: JSON5: invalid end of input at 1:2"
        );
    }
}
