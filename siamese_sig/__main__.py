"`python -m siamese_sig`, the same as `siamese-sig`. Kept by hand: nbdev exports whole modules, and this one is three lines."
from siamese_sig.cli import main

main()
