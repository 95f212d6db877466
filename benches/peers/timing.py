"""How long a step of a peer takes."""

import resource
import statistics
import time


def add_time_argument(parser, seconds=3.0):
    parser.add_argument("--seconds", type=float, default=seconds, help="how long to measure")


def timed(step, arguments, warm_up=3):
    """Images a second by the median of the steps after a warm-up, and the most memory that the process held."""
    for _ in range(warm_up):
        step()
    times, end = [], time.perf_counter() + arguments.seconds
    while time.perf_counter() < end or len(times) < 3:
        begin = time.perf_counter()
        step()
        times.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"images_per_second": arguments.batch_size / statistics.median(times), "peak_memory_bytes": peak}
