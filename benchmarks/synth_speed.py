"""Images a second from the generator on one process and on more, and whether memory stays flat.

Example: python benchmarks/synth_speed.py --workers 1 2
The best of --repeat runs counts, after a warm-up that starts the processes. Memory is the growth of this process's peak
between the first quarter of a stream of blocks and its end.
"""
import argparse
import resource
import time

from siamese_sig.synth import synth_blocks


def rate(first, writers, size, workers, repeat):
    "Best images a second"
    best = 0
    for k in range(repeat+1):
        start = time.perf_counter()
        n = sum(len(b.x) for b in synth_blocks(range(first, first+writers), 11, 5, k, size, workers))
        best = max(best, n/(time.perf_counter()-start)) if k else 0
    return best


def peak():
    "Most memory this process has used, MB"
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--writers", type=int, default=192)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    for size in ((112, 208), (208, 400)):
        rates = [rate(1, args.writers, size, w, args.repeat) for w in args.workers]
        print(f"{size[0]}x{size[1]}: " + ", ".join(
            f"{w} process{'es' if w > 1 else ''} {r:.0f} images/s ({r/rates[0]:.2f}x)" for w, r in zip(args.workers, rates)))
    for k, _ in enumerate(synth_blocks(1200, 11, 5)):
        if k == 300:
            early = peak()
    print(f"memory: peak grew by {peak()-early:.1f} MB from writer 300 to 1200 ({16*900} images)")


if __name__ == "__main__":
    main()
