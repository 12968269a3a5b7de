"""The site's prelude: shell text that prepares the environment, wherever something of ours runs."""


def prelude_lines(prelude: str) -> str:
    """What to put before a script of ours, on the login node or in a job; nothing for none.

    What the prelude says is thrown away, and what it sets stays, but for `set -e` and `set -u`,
    which would end a script that does not expect them.
    """
    if not prelude.strip():
        return ""
    return f"{{ {prelude}\n}} >/dev/null 2>&1 </dev/null\nset +eu\n"
