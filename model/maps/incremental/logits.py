"""Logits of a network for an image with each patch hidden in turn."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.maps.incremental.clean import clean_outputs
from model.maps.incremental.differences import CleanImage, GroupPass, flat_differences
from model.maps.incremental.graph import Unsupported, trace
from model.maps.incremental.planning import BATCH, Group, Plan, make_plan
from model.maps.incremental.scratch import Scratch
from model.maps.incremental.threads import share_out

# Largest difference between the network and what was traced of it, as a share of the largest logit.
SAME = 1e-3


class IncrementalLogits:
    """Logits for an image with each patch hidden in turn, recomputing only what can change.

    Made once for a network and a size of image, used for many images.
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
            network: in evaluation mode, (B, 3, H, W) to logits (B, classes); left as it is.
            size: height and width of the images, px.
            tops, lefts: first row and first column of the patches, px.
            window: their side, px.
            products: type of the numbers that convolutions and linear layers multiply; None for
                that of the weights. Differences are added and kept in that of the weights.

        Raises:
            Unsupported: the network does something that cannot be followed.
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
        """Logits of an image, and with each patch hidden in turn.

        On a GPU whose memory runs out, smaller batches are tried, now and from now on.

        Args:
            image: (3, H, W), normalised, on the network's device.
            fills: (N, 3, H, W), normalised, likewise: what a hidden patch shows.

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
        """Logits (rows, columns, classes) with each patch of the image changed by `hidden`."""
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
            share_out(plan.groups, work, lambda: Scratch(hidden))
        return outputs[-1] + flat_differences(plan, outputs, gathered, self.products)


def expect_same(traced: Tensor, real: Tensor) -> None:
    """Raise Unsupported where what was traced of a network gives other logits than the network."""
    if traced.shape != real.shape or real.ndim != 2:
        raise Unsupported(f"it gives {tuple(real.shape)}, where logits (1, classes) were expected")
    if not (traced - real).abs().max() <= SAME * real.abs().max():
        raise Unsupported("it gives other logits than its layers one by one")


def expect_finite(outputs: Sequence[Tensor]) -> None:
    """Raise Unsupported where differences of values would be undefined.

    Maximum pooling that looks at nothing but padding gives -∞, which a later layer may hide.
    """
    if not all(output.isfinite().all() for output in outputs):
        raise Unsupported("its layers give values that are not finite")
