"""Times Python's argon2-cffi on the password of password.rs: `python3 benches/time_python.py`."""

import timeit

from argon2 import PasswordHasher

hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
rounds = 5
seconds = min(timeit.repeat(lambda: hasher.hash("correct horse battery staple"), number=rounds, repeat=5)) / rounds
print(f"hash  {seconds * 1000:5.1f} ms")
