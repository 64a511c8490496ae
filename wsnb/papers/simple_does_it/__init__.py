"""Simple Does It (Khoreva, Benenson, Hosang, Hein, Schiele, CVPR 2017): semantic and instance masks from boxes."""
