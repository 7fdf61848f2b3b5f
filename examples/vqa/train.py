"""Train the relation network from scratch on scenes made here, and save its weights.

    python examples/vqa/train.py --out examples/vqa/weights.safetensors

Takes some 45 minutes on two cores, and prints how often the network is right about scenes that it has not seen, by kind
of question.

A relation network answers for a long time as one would who heard the question but did not see the picture, until it
finds out how to use both. To cut this short, the convolutions first learn to tell what lies where; then the whole
network learns to answer, and to point at the objects that it speaks of.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from descriptions import VALUES
from network import RelationNetwork, save_network
from questions import ANSWERS, VOCABULARY
from quizzes import HELD_OUT, TRAINING, Quiz, accuracy, ink, quiz
from scenes import SIDE, Scene
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

WORKERS = 2
"""Processes, with one thread each: on two cores they are faster than one process with two threads."""


HOW_OFTEN = {"relation": 2.0, "relation existence": 3.0, "relation count": 6.0}
"""Times that a question of a kind is asked for one of another kind. What is hard to learn is asked more often."""


def hidden(network: RelationNetwork, pictures: Tensor, words: Tensor) -> Tensor:
    """Return what the last layer of f makes its scores from, (N, k, width), for k questions about each picture.

    The same numbers as in `forward`, and sooner: each picture is looked at once for all its questions, and the first
    layer of g is applied to both places and to the question before they are paired, not to each pair.
    """
    cells = network.see(pictures)
    question = network.read(words.flatten(0, 1)).view(*words.shape[:2], -1)
    first, *rest = network.relation
    one, two, asked = first.weight.split([cells.shape[-1], cells.shape[-1], question.shape[-1]], 1)
    pairs = (cells @ one.T)[:, None, :, None] + (cells @ two.T)[:, None, None]
    pairs = pairs + (question @ asked.T + first.bias)[:, :, None, None]
    return network.decision[:-1](nn.Sequential(*rest)(pairs).sum((2, 3)))


def whereabouts(scenes: Sequence[Scene], steps: int) -> Tensor:
    """Return what lies in each of the steps x steps cells of a picture, (N, steps^2, values + 3).

    First, whether an object in it has each value of each attribute; then the place of the object in the cell, across
    and down, in cells; last, whether this place counts: where there is one object.
    """
    values = [value for names in VALUES.values() for value in names]
    found = torch.zeros(len(scenes), steps, steps, len(values) + 3)
    for cells, things in zip(found, scenes, strict=True):
        for thing in things:
            # Cells lie 16 pixels apart, the first around pixel 15.5: that is how four convolutions with stride 2 see.
            across, down = (min(steps - 1, max(0, round((place - 15.5) / 16))) for place in (thing.x, thing.y))
            cell = cells[down, across]
            alone = not cell.any()
            for name in VALUES:
                cell[values.index(getattr(thing, name))] = 1
            cell[-3:] = torch.tensor([(thing.x - 15.5) / 16 - across, (thing.y - 15.5) / 16 - down, alone])
    return found.flatten(1, 2)


def places(data: Quiz) -> Tensor:
    """Return the middle of the objects that each question is about, across and down from -1 to 1, and a 1: (N, k, 3).

    Zeros for questions about objects that are not there.
    """
    found = torch.zeros(*data.answers.shape, 3)
    for row, things, questions in zip(found, data.scenes, data.questions, strict=True):
        for place, question in zip(row, questions, strict=True):
            if question.target:
                centres = torch.tensor([[things[number].x, things[number].y] for number in question.target])
                place[:2], place[2] = 2 * centres.mean(0) / SIDE - 1, 1
    return found


class Trainer:
    """A worker: each has scenes of its own, and all take the same steps, by the mean of their gradients."""

    def __init__(self, rank: int, options: argparse.Namespace) -> None:
        self.rank, self.options = rank, options
        self.data = quiz(TRAINING, range(rank, options.scenes, WORKERS), options.questions)
        self.test = quiz(HELD_OUT, range(300), 8)
        torch.manual_seed(0)  # the same first weights everywhere
        self.network = RelationNetwork(len(VOCABULARY), len(ANSWERS))
        self.tell = nn.Linear(self.network.sizes["kernels"], sum(map(len, VALUES.values())) + 2)
        self.point = nn.Linear(self.network.sizes["decision"], 2)
        torch.manual_seed(1 + rank)  # but other questions

    def look(self, rate: float = 4e-3, batch: int = 32) -> None:
        """Train the convolutions, with a linear layer on top that is thrown away, to tell what lies in each cell."""
        truth = whereabouts(self.data.scenes, math.isqrt(self.network.places.shape[1]))

        def loss() -> Tensor:
            rows = torch.randint(len(truth), (batch,))
            said = self.tell(self.network.vision(self.pictures(rows)).flatten(2).transpose(1, 2))
            values, place, counts = truth[rows].split([said.shape[-1] - 2, 2, 1], -1)
            off = ((said[..., -2:] - place).square() * counts).mean()
            return binary_cross_entropy_with_logits(said[..., :-2], values) + 2 * off

        self.descend(loss, [*self.network.vision.parameters(), *self.tell.parameters()], rate, self.options.look)

    def learn(self, rate: float = 4e-4, batch: int = 10, asked: int = 6) -> None:
        """Train the whole network to answer, and a linear layer that is thrown away to tell where the objects are.

        Which of the objects an answer was read from is more than the answer says, and leads out of the stage in which
        the network names an attribute of any of them. Questions on relations are far harder than the others, and are
        asked more often. The batch norms keep the moments that they have: those of so few pictures would be noise.
        """
        for buffer in self.network.buffers():
            dist.broadcast(buffer, 0)
        self.network.eval()
        where = places(self.data)
        often = torch.tensor([[HOW_OFTEN.get(question.kind, 1.0) for question in row] for row in self.data.questions])

        def loss() -> Tensor:
            rows = torch.randint(len(often), (batch,))
            chosen = rows[:, None], torch.multinomial(often[rows], asked)
            last = hidden(self.network, self.pictures(rows), self.data.words[chosen].long())
            said = self.network.decision[-1](last)
            place, counts = where[chosen].split([2, 1], -1)
            off = ((self.point(last) - place).square() * counts).mean()
            return cross_entropy(said.flatten(0, 1), self.data.answers[chosen].flatten()) + 4 * off

        parameters = [*self.network.parameters(), *self.point.parameters()]
        self.descend(loss, parameters, rate, self.options.steps, tests=True)

    def pictures(self, rows: Tensor) -> Tensor:
        return ink(self.data.pictures[rows])

    def descend(
        self,
        loss: Callable[[], Tensor],
        parameters: list[nn.Parameter],
        rate: float,
        steps: int,
        tests: bool = False,
    ) -> None:
        """Take so many steps: the rate rises over 200 of them, and sinks to zero in the second half."""
        optimizer = torch.optim.Adam(parameters, rate)
        begin, cpu, mean = time.monotonic(), time.process_time(), 0.0
        for step in range(1, steps + 1):
            optimizer.zero_grad()
            value = loss()
            value.backward()
            self.share(parameters)
            nn.utils.clip_grad_norm_(parameters, 1.0)
            sinking = (1 + math.cos(math.pi * max(0, 2 * step / steps - 1))) / 2
            optimizer.param_groups[0]["lr"] = rate * min(1.0, step / 200) * sinking
            optimizer.step()
            mean += (value.item() - mean) * max(0.01, 1 / step)
            if step % self.options.every == 0 or step == steps:
                minutes, spent = (time.monotonic() - begin) / 60, time.process_time() - cpu
                self.say(f"step {step} of {steps}: {minutes:.1f} min, {spent:.0f} s on each core, loss {mean:.3f}")
                if tests:
                    self.test_and_save()

    def share(self, parameters: list[nn.Parameter]) -> None:
        """Give all workers the mean of their gradients."""
        mean = torch.cat([parameter.grad.flatten() for parameter in parameters])
        dist.all_reduce(mean)
        for parameter, gradient in zip(
            parameters, (mean / WORKERS).split([p.numel() for p in parameters]), strict=True
        ):
            parameter.grad = gradient.view_as(parameter)

    def test_and_save(self) -> None:
        if self.rank == 0:
            table = accuracy(self.network, self.test)
            self.say("   ".join(f"{kind} {100 * right:.1f} %" for kind, (right, _) in table.items()))
            save_network(self.network, self.options.out, VOCABULARY, ANSWERS)

    def say(self, text: str) -> None:
        if self.rank == 0:
            print(text, flush=True)


def work(rank: int, options: argparse.Namespace, meeting: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=WORKERS)
    trainer = Trainer(rank, options)
    trainer.look()
    trainer.learn()
    dist.destroy_process_group()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("weights.safetensors"), help="the file to write")
    parser.add_argument("--steps", type=int, default=60000, help="steps of learning to answer")
    parser.add_argument("--look", type=int, default=4000, help="steps before these, of learning to see")
    parser.add_argument("--scenes", type=int, default=40000, help="different scenes to train with")
    parser.add_argument("--questions", type=int, default=10, help="different questions about each")
    parser.add_argument("--every", type=int, default=1500, help="steps between reports, after which weights are saved")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mp.spawn(work, (options, f"{folder}/meeting"), WORKERS)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
