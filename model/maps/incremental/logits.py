"""Compute a network's logits for an image with each patch hidden in turn."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.maps.incremental.clean import clean_outputs
from model.maps.incremental.differences import CleanImage, GroupPass, flat_differences
from model.maps.incremental.graph import Unsupported
from model.maps.incremental.planning import BATCH, Group, Plan, make_plan
from model.maps.incremental.scratch import Scratch
from model.maps.incremental.threads import run_in_threads
from model.maps.incremental.tracing import trace

# Largest difference allowed between the network and its traced steps, as a share of the largest
# logit.
SAME = 1e-3


class IncrementalLogits:
    """Logits for an image with each patch hidden in turn, recomputing only what can change.

    Build it once for a network and an image size, and use it for many images.
    """

    def __init__(
        self,
        network: nn.Module,
        size: tuple[int, int],
        tops: Sequence[int],
        lefts: Sequence[int],
        window: int,
        *,
        products: torch.dtype | None = None,
    ) -> None:
        """
        Args:
            network: in evaluation mode, (B, 3, H, W) to logits (B, classes); left unchanged.
            size: height and width of the images, px.
            tops, lefts: first row and first column of the patches, px.
            window: side of the patches, px.
            products: type in which convolutions and linear layers multiply; None for that of the
                weights. Differences are always added and kept in the type of the weights.

        Raises:
            Unsupported: the network contains something that cannot be followed.
        """
        weight = next(network.parameters())
        self.tops, self.lefts, self.window = tops, lefts, window
        self.products = products or weight.dtype
        self._batch = BATCH
        with torch.inference_mode():
            steps = trace(network)
            sample = torch.randn(
                1, 3, *size, generator=torch.Generator().manual_seed(0), dtype=weight.dtype
            ).to(weight.device)
            outputs = clean_outputs(steps, sample)
            expect_same(outputs[-1], network(sample))
            expect_finite(outputs)
            self._steps, self._shapes = steps, [output.shape[1:] for output in outputs]
            self.plan = self._make_plan()

    def _make_plan(self) -> Plan:
        return make_plan(
            self._steps,
            self._shapes,
            self.tops,
            self.lefts,
            self.window,
            products=self.products,
            batch=self._batch,
        )

    @torch.inference_mode()
    def __call__(self, image: Tensor, fills: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits of an image, and those with each patch hidden in turn.

        If a GPU runs out of memory, switch to smaller batches for this image and all later ones.

        Args:
            image: (3, H, W), normalised, on the network's device.
            fills: (N, 3, H, W), normalised, on the same device: what a hidden patch shows.

        Returns:
            (classes,) and (N, rows, columns, classes).
        """
        while True:
            try:
                outputs = clean_outputs(self.plan.steps, image[None])
                clean = CleanImage(self.plan, outputs)
                hidden = [self._hide(clean, outputs, fill - image) for fill in fills]
                return outputs[-1][0], torch.stack(hidden)
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise
            self._batch //= 2
            self.plan = self._make_plan()

    def _hide(self, clean: CleanImage, outputs: Sequence[Tensor], hidden: Tensor) -> Tensor:
        """Compute logits (rows, columns, classes) with `hidden` added to each patch in turn."""
        plan = self.plan
        shape = (len(self.tops), len(self.lefts))
        gathered = {
            number: hidden.new_empty(*shape, plan.shapes[number].numel()) for number in plan.entries
        }

        def work(group: Group, scratch: Scratch) -> None:
            rows, columns = (torch.tensor(run.members) for run in (group.rows, group.columns))
            for number, found in GroupPass(clean, group, scratch).run(hidden).items():
                gathered[number][rows[:, None], columns] = found

        if hidden.is_cuda:
            scratch = Scratch(hidden)
            for group in plan.groups:
                work(group, scratch)
        else:
            run_in_threads(plan.groups, work, lambda: Scratch(hidden))
        return outputs[-1] + flat_differences(plan, outputs, gathered, self.products)


def expect_same(traced: Tensor, real: Tensor) -> None:
    """Raise Unsupported unless the traced steps give the same logits as the network."""
    if traced.shape != real.shape or real.ndim != 2:
        raise Unsupported(f"it gives {tuple(real.shape)}, where logits (1, classes) were expected")
    if not (traced - real).abs().max() <= SAME * real.abs().max():
        raise Unsupported("it gives other logits than its layers one by one")


def expect_finite(outputs: Sequence[Tensor]) -> None:
    """Raise Unsupported unless all values are finite, as their differences must be defined.

    Max pooling over nothing but padding gives -∞, which a later layer may conceal in the output.
    """
    if not all(output.isfinite().all() for output in outputs):
        raise Unsupported("its layers give values that are not finite")
