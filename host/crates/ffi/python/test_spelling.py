"""Bytes of tokens against what a tokenizer decodes: python3 test_spelling.py TOKENIZER.json...

Exits with an error unless joined bytes are the decoded text wherever they are valid UTF-8. Needs transformers, no torch.
"""

import random
import sys

from inferenceguard import Spelling
from transformers import PreTrainedTokenizerFast

TEXTS = ["A😀😀 the kettle, 東京é", " two  spaces", "x\0y", "\ufffd end"]


def spelled(spelling, ids):
    """The bytes of an answer with these tokens."""
    parts, begun = [], False
    for token in ids:
        parts.append(spelling.of(token, not begun))
        begun = begun or token not in spelling.special
    return b"".join(parts)


def main(paths):
    draws = random.Random(1)
    for path in paths:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=path)
        spelling, compared = Spelling(tokenizer), 0
        texts = [tokenizer.encode(text, add_special_tokens=False) for text in TEXTS]
        lists = texts + [[draws.randrange(len(tokenizer)) for _ in range(draws.randrange(1, 6))] for _ in range(500)]
        for ids in lists:
            whole = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
            try:
                text = spelled(spelling, ids).decode()
            except UnicodeDecodeError:
                continue
            compared += 1
            assert text == whole, (path, ids, text, whole)
        assert compared > 50, (path, compared)
        print(f"{path}: {compared} lists of tokens have the same text")


if __name__ == "__main__":
    main(sys.argv[1:])
