"""Take out of a rendered site what would be asked of other hosts: fonts, require.js, jQuery. `python scripts/no_other_hosts.py _docs`

Quarto puts require.js and jQuery into every page with a table, in case it is a widget; none of ours is. Its themes fetch a font.
Links that a reader may click stay.
"""
import re
import sys
from pathlib import Path

FETCHED = [
    re.compile(r"<script\b[^>]*\bsrc=\"https?://[^\"]*\"[^>]*>\s*</script>\s*"),
    re.compile(r"<script\b[^>]*>\s*define\('jquery'.*?</script>\s*", re.S),
    re.compile(r"<link\b(?=[^>]*\brel=\"(?:stylesheet|preconnect|dns-prefetch|preload)\")[^>]*\bhref=\"https?://[^\"]*\"[^>]*>\s*"),
    re.compile(r"@import\s*(?:url\()?[\"']?https?://[^;]*;"),
]


def without_fetches(text):
    "The text of a page or a style sheet, and how many fetches were taken out"
    n = 0
    for pattern in FETCHED:
        text, found = pattern.subn("", text)
        n += found
    return text, n


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    total = 0
    for path in sorted(Path(sys.argv[1]).rglob("*")):
        if path.suffix in (".html", ".css"):
            text, n = without_fetches(path.read_text(encoding="utf-8"))
            total += n
            if n:
                path.write_text(text, encoding="utf-8")
    print(f"{total} fetches from other hosts taken out")


if __name__ == "__main__":
    main()
