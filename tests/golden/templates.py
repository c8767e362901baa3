"""Makes templates.json and encodings.json beside this file: chat templates in the manner of the well-known families,
with the prompts that transformers makes of them, and texts with the tokens that tokenizers makes of them.

    pip install transformers tokenizers jinja2
    python templates.py

templates.json: for each template its source, and for each conversation the text, the ids (by the tokenizer of llama1), or
`null` where transformers refuses or fails. The date is 2024-07-26.

encodings.json: small tokenizers, and texts in parts: `scaffold` is the template's, `words` are a client's. Words spell no
control token, so that the ids are those of the joined text.
"""

import datetime
import json
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers.utils import chat_template_utils

HERE = Path(__file__).parent


class Fixed(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2024, 7, 26)


chat_template_utils.datetime = Fixed

BOS = "{{ bos_token }}"
LOOP = "{% for m in messages %}"
END = "{% endfor %}"
TEMPLATES = {
    "chatml": LOOP + "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>' + '\\n' }}" + END
    + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
    "chatml-raw": LOOP + "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n" + END + "<|im_start|>assistant\n",
    "inst": "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}"
    "{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}"
    "{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}"
    "{% else %}{% set content = message['content'] %}{% endif %}"
    "{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}",
    "headers-and-date": """{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "1 Jan 1970" %}
    {%- endif %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{#- The system turn comes out first. #}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if tools is not none %}
    {{- "Environment: ipython\\n" }}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {{- raise_exception("This model only supports single tool-calls at once!") }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\\n\\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
""",
    "thinking": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}""",
    "distilled": "{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}"
    "{% set ns = namespace(is_first=false, is_tool=false, system_prompt='') %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}"
    "{{bos_token}}{{ns.system_prompt}}"
    "{%- for message in messages %}{%- if message['role'] == 'user' %}{%- set ns.is_tool = false -%}{{'<|User|>' + message['content']}}{%- endif %}"
    "{%- if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}"
    "{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{'<|Assistant|>' + content + '</s>'}}{%- endif %}{%- endfor -%}"
    "{% if add_generation_prompt and not ns.is_tool %}{{'<|Assistant|>'}}{% endif %}",
    "no-system": BOS + "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\\n'}}{% endif %}",
    "composed-roles": LOOP + "{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}" + END + "{{ '<|assistant|>' }}",
    "roles-in-a-list": LOOP + "{% if m.role in ['user', 'system'] %}{{ '<|' ~ m.role ~ '|>\\n' ~ m.content ~ eos_token ~ '\\n' }}"
    "{% elif m.role == 'assistant' %}{{ '<|assistant|>\\n' + m.content + eos_token + '\\n' }}{% endif %}"
    "{% if loop.last and add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}" + END,
    "plain-words": "{% if not messages[0].role == 'system' %}A chat.\n\n{% endif %}"
    + LOOP + "{% if m.role == 'user' %}USER: {{ m.content.strip() }} {% elif m.role == 'system' %}{{ m.content }}\n\n"
    "{% else %}ASSISTANT: {{ m.content.strip() }}</s>{% endif %}" + END + "ASSISTANT:",
    "tools-not-none": BOS + "{% if tools is not none %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}"
    "{% if documents is not none %}[DOCS]{% endif %}{% if tools is iterable and tools | length > 0 %}[TOOLS]{% endif %}[INST]{{ messages[-1].content }}[/INST]",
    "tools-set": "{% if not tools is defined %}{% set tools = none %}{% endif %}{% if tools %}T{% else %}-{% endif %}{{ messages|length }}",
    "date": BOS + "{% set today = strftime_now('%Y-%m-%d') %}{% set day = strftime_now('%A, %-d %B %y') %}{{ today }}|{{ day }}[INST]{{ messages[0].content }}[/INST]",
    "date-guarded": "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}26 Jul 2023{% endif %}{{ messages[0].content }}",
    "generation": BOS + LOOP + "{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{{ eos_token }}{% endgeneration %}{% else %}[INST]{{ m.content }}[/INST]{% endif %}" + END,
    "generation-trimmed": LOOP + "\n  {%- if m.role == 'assistant' %}\n    {%- generation -%}\n  {{ m.content }}\n  {%- endgeneration %}\n  {%- else %}\n[{{ m.content }}]\n  {%- endif %}\n" + END,
    "tojson": "{{ {'role': messages[-1].role, 'content': messages[-1].content} | tojson }}|{{ messages | tojson }}",
    "tojson-indent": "{{ {'content': messages[0].content, 'a': [1, 2.5, true, none], 'b': {}, 'c': []} | tojson(indent=2) }}",
    "tojson-ascii": "{{ messages[0].content | tojson(ensure_ascii=True) }}{{ [1, {'b': 2, 'a': 3}] | tojson(separators=(',', ':'), sort_keys=true) }}{{ 1e3 | tojson }}",
    "methods": "{{ messages[0].role.title() }}|{{ messages[0].content.upper() }}|{{ messages[0].content.lower() }}|{{ messages[0].content.capitalize() }}"
    "|{{ 'a-b-c'.rsplit('-', 1)[0] }}|{{ messages[0].content.rsplit(' ', 1)[-1] }}|{{ messages[0].content.find('e') }}|{{ messages[0].content.split() | join(',') }}"
    "|{{ messages[0].content.splitlines() | join(',') }}|{{ messages[0].content.split('e', 1)[0] }}|{{ messages[0].content.replace('e', '<s>') }}"
    "|{{ ','.join(['a', 'b']) }}|{{ messages[0].content.count('e') }}|{{ messages[0].content.partition(' ')[2] }}|{{ messages[0].content.rpartition(' ')[0] }}"
    "|{{ messages[0].content.removeprefix('Say').removesuffix('?') }}|{{ messages[0].content.swapcase() }}|{{ 'ab'.center(7, '*') }}|{{ 'ab'.ljust(4) }}|{{ '7'.zfill(3) }}"
    "|{{ messages[0].content.startswith(('Say', 'How')) }}|{{ messages[0].content.endswith('?') }}|{{ messages[0].content.isdigit() }}|{{ messages[0].content.strip('?S ') }}",
    "compared": "{% for w in messages[-1].content.split(' ') %}{% if w == 'the' %}[the]{% elif w in ['is', 'it'] %}[{{ w }}]{% elif w != '' %}{{ w }}{% endif %};{% endfor %}"
    "{{ 'kettle' in messages[-1].content }}{{ 'kettle' not in messages[-1].content }}{{ messages[-1].content == messages[0].content }}{{ messages[-1].content[:3] == 'Say' }}",
    "filters": "{{ messages | selectattr('role', 'equalto', 'user') | list | length }}|{{ messages | map(attribute='role') | join(',') }}"
    "|{{ messages[0].content | trim | length }}|{{ [3, 1, 2] | sort | first }}|{{ messages[0].content | upper | replace('A', 'aa') }}|{{ none | default('d', true) }}"
    "|{{ messages | rejectattr('role', 'equalto', 'user') | list | length }}|{{ {'b': 1, 'a': 2} | dictsort | map('first') | join }}|{{ {'k': 1}.items() | list | length }}"
    "|{{ messages[0].content | escape }}|{{ messages[0].content | title }}|{{ 'x\\ny' | indent(2, true) }}|{{ '12' | int + 1 }}|{{ messages | last | length }}|{{ 'a' | string }}",
    "dictionaries": "{% for k, v in {'z': 1, 'a': 2, 'm': 3}.items() %}{{ k }}{{ v }}{% endfor %}{% for k in messages[0] %}{{ k }},{% endfor %}{{ messages[0].keys() | list | join('+') }}{{ messages[0].get('name', 'anon') }}",
    "macros": BOS + "{% macro turn(role, text='-') %}[{{ role }}:{{ text }}]{% endmacro %}{{ turn('a') }}{{ turn(text=messages[0].content, role='b') }}{{ messages[0].content[-3:] | trim }}{{ messages[0].content[:3] }}{{ ([1] + [2])|length }}",
    "missing": BOS + "{% if messages[0].tool_calls is defined and messages[0].tool_calls %}T{% endif %}{% if messages[0]['tool_calls'] %}T{% endif %}{{ messages[0].get('name', 'anon') }}{% if not messages[0].name %}N{% endif %}{{ pad_token is defined }}{{ pad_token }}",
    "loop-controls": "{% for c in messages[0].content.split(' ') %}{% if loop.index0 == 1 %}{% continue %}{% endif %}{% if loop.index0 == 3 %}{% break %}{% endif %}{{ c }};{% endfor %}",
    "blocks": BOS + "\n  {% if true %}\n  a\n  {% endif %}\n{#- c -#}\n b {%- if true -%} c {%- endif %}\n{{ messages[0].role }}\n{% raw %}{{ a == b }}{% endraw %}\n{% set x %}{{ messages[0].content }}!{% endset %}{{ x }}",
    "python-values": "{{ true }}|{{ none }}|{{ {'a': 'b'} }}|{{ ['x', 1] }}|{{ 1.0 }}|{{ 7 // 2 }}|{{ 2 ** 3 }}|{{ 7 % 4 }}|{{ -3 }}|{{ 'a' if messages|length > 1 else 'b' }}|{{ messages[0] }}",
    "kinds": "{{ none is iterable }}{{ none is sequence }}{{ 'a' is iterable }}{{ 'a' is sequence }}{{ {} is sequence }}{{ 1 is iterable }}"
    "{{ messages is sequence }}{{ messages[0] is mapping }}{{ messages[0] is iterable }}{{ 'role' in messages[0] }}{{ 'x' in messages[0] }}"
    "{{ tools is iterable }}{{ messages[0].content is string and messages[0].content is not mapping }}",
    "reversed": "{% for m in messages | reverse %}{{ loop.revindex }}{{ m.content }}{% endfor %}{{ messages[0].content[::-1] }}",
    "wrapped": LOOP + "{{ (eos_token ~ '<' ~ m.content ~ '>') if not loop.first else '<' ~ m.content ~ '>' }}" + END,
    "refuses": "{{ raise_exception('nothing fits') }}",
    "fails": "{{ messages[5].content }}",
    "fails-on-system": "{% if messages[0].role == 'system' %}{{ messages[0].content.nonsense() }}{% endif %}{{ messages[-1].content }}",
}

TURN = lambda role, content: {"role": role, "content": content}
CONVERSATIONS = [
    [TURN("user", "How is the kettle?")],
    [TURN("user", "Say <b>\"it's\"</b> & é\n")],
    [TURN("system", " Be kind. "), TURN("user", "Say it again, the 1st time")],
    [TURN("user", "Hi"), TURN("assistant", "<think>\nHm, the kettle.\n</think>\n\nHo "), TURN("user", "  and the café's 東京 mat? ")],
    [TURN("system", "x"), TURN("user", "a\nb"), TURN("assistant", ""), TURN("user", "\tKETTLE is 👩‍👧\r\n")],
    [TURN("user", "a"), TURN("user", "b")],
    [TURN("assistant", "a"), TURN("user", "b")],
]
NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}


def rendered(source, conversation, tokenizer):
    try:
        texts, _ = chat_template_utils.render_jinja_template(
            conversations=[conversation], chat_template=source, add_generation_prompt=True, **NAMES
        )
    except Exception:
        return None
    return {"text": texts[0], "ids": tokenizer.encode(texts[0], add_special_tokens=False).ids}


def templates():
    tokenizer = Tokenizer.from_file(str(HERE / "llama1" / "tokenizer.json"))
    cases = [
        {"name": name, "source": source, "prompts": [rendered(source, one, tokenizer) for one in CONVERSATIONS]}
        for name, source in TEMPLATES.items()
    ]
    about = {"names": NAMES, "conversations": CONVERSATIONS, "templates": cases}
    (HERE / "templates.json").write_text(json.dumps(about, ensure_ascii=False) + "\n")
    print(f"templates.json: {len(cases)} templates, {sum(p is not None for c in cases for p in c['prompts'])} prompts")


# ---------------------------------------------------------------- encodings


def special(text, **flags):
    return AddedToken(text, special=True, normalized=False, **flags)


def byte_level():
    """As Llama 3, Qwen and Phi have it, with added tokens of every kind, and merges that lead into control tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("Ġ", "Ġ"), ("<", "s"), ("<s", ">"), ("k", "e"), ("Ċ", "Ċ")]
    vocab = {c: i for i, c in enumerate(alphabet)}
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    tok = Tokenizer(models.BPE(vocab=vocab, merges=merges, ignore_merges=True))
    split = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tok.decoder = decoders.ByteLevel()
    tok.add_tokens([AddedToken("   ", normalized=False), AddedToken("\t\t", normalized=False), AddedToken("<think>", normalized=False)])
    tok.add_special_tokens([special("<s>"), special("<|user|>", rstrip=True), special("<|end|>", lstrip=True), special("<|end|>\n")])
    return tok


def sentence_piece(legacy):
    """As Llama 1 and 2 have it; the early files normalise their special tokens."""
    names = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)] + list("▁abcdefghiklmnoprstuwyUSER:<>/|_")
    vocab = {}
    for name in names:
        vocab.setdefault(name, len(vocab))
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he"), ("<", "/"), ("▁", "▁"), ("s", ">")]
    for left, right in merges:
        vocab.setdefault(left + right, len(vocab))
    tok = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tok.add_special_tokens([AddedToken(s, special=True, normalized=legacy) for s in ("<unk>", "<s>", "</s>", "<pad>")])
    tok.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", vocab["<s>"])])
    return tok


def metaspace():
    """As newer conversions of Llama and Mistral have it."""
    tok = sentence_piece(False)
    tok.normalizer = None
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    return tok


def unigram():
    """As T5 and XLM-R have it: whatever is in the vocabulary is found in any text."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁the", -2.0), ("▁", -3.0)]
    pieces += [(c, -5.0 - i / 100) for i, c in enumerate("abcdefghiklmnoprstuwyUSER:<>/|_")]
    tok = Tokenizer(models.Unigram(pieces, unk_id=0, byte_fallback=False))
    tok.normalizer = normalizers.NFKC()
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.decoder = decoders.Metaspace()
    tok.add_special_tokens([special("<unk>"), special("<s>"), special("</s>")])
    return tok


def lower_case():
    """Words of a dictionary, letters made small, marks taken off."""
    words = ["[UNK]", "[CLS]", "[SEP]", "the", "kettle", "is", "hot", "cafe", ":", "<", ">", "s", "/", "user", "[", "]", "cls", "sep"]
    tok = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer()
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.add_special_tokens([AddedToken("[CLS]", special=True, normalized=True), special("[SEP]")])
    return tok


TEXTS = [
    [("words", "the kettle is hot")],
    [("words", "  the  kettle,\t\tis\n\nhot  ")],
    [("scaffold", "<s>"), ("words", "the kettle"), ("scaffold", "</s>")],
    [("scaffold", "<s>USER: "), ("words", "the kettle"), ("scaffold", " ke</s>")],
    [("scaffold", "<|user|>\n"), ("words", "\n the"), ("scaffold", "   <|end|>\n"), ("words", "t"), ("scaffold", "he<|end|>")],
    [("scaffold", "[CLS] "), ("words", "Thé Kettle"), ("scaffold", "[SEP]"), ("words", "is"), ("scaffold", "[cls]")],
    [("scaffold", "th"), ("words", "e"), ("scaffold", " ke"), ("words", "ttle")],
    [("scaffold", "<think>\n"), ("words", "東京 é"), ("scaffold", "\n\n<pad><unk>"), ("words", " "), ("scaffold", " the")],
    [("scaffold", "a"), ("words", ""), ("scaffold", "<s>"), ("words", " "), ("scaffold", "<s>")],
]


def encodings():
    kinds = {
        "byte-level": byte_level(),
        "sentence-piece": sentence_piece(False),
        "sentence-piece-legacy": sentence_piece(True),
        "metaspace": metaspace(),
        "unigram": unigram(),
        "lower-case": lower_case(),
    }
    cases = []
    for name, tok in kinds.items():
        texts = ["".join(part for _, part in parts) for parts in TEXTS]
        cases.append(
            {
                "name": name,
                "ids": [tok.encode(text, add_special_tokens=False).ids for text in texts],
                "framed": [tok.encode(text).ids for text in texts],
                "tokenizer": json.loads(tok.to_str()),
            }
        )
    about = {"texts": TEXTS, "tokenizers": cases}
    (HERE / "encodings.json").write_text(json.dumps(about, ensure_ascii=False) + "\n")
    print(f"encodings.json: {len(cases)} tokenizers, {len(TEXTS)} texts")


templates()
encodings()
