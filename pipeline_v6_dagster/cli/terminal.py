"""Text of others on a terminal: what would steer it or reorder what it shows is escaped."""


def escape_controls(text: str) -> str:
    r"""`text` with control, bidirectional and other invisible characters as `\\uXXXX`, newlines and spaces kept.

    JSON stays the same JSON: such a character can only be inside of a string there, where the escape is the character.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escape(char) for char in text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")  # JSON has escapes for UTF-16 only.
    return "".join(f"\\u{units[index : index + 2].hex()}" for index in range(0, len(units), 2))
