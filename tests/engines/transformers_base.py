#!/usr/bin/env python3
"""Answers of transformers without guard: transformers_base.py MODEL PROMPTS TOKENS

MODEL is a folder, PROMPTS a file with a prompt a line. Prints one JSON text a line: at most TOKENS tokens, drawn at
temperature 1 with the number of the prompt as the seed.
"""

import json
import pathlib
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main():
    folder, prompts, most = sys.argv[1:]
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for seed, prompt in enumerate(pathlib.Path(prompts).read_text().splitlines()):
        chat = [{"role": "user", "content": prompt}]
        given = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
        torch.manual_seed(seed)
        with torch.no_grad():
            ids = model.generate(**given, do_sample=True, top_k=0, top_p=1.0, temperature=1.0, max_new_tokens=int(most))
        print(json.dumps(tokenizer.decode(ids[0, given["input_ids"].shape[1]:], skip_special_tokens=True)), flush=True)


if __name__ == "__main__":
    main()
