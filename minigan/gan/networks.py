"""The two players: a generator that turns noise into images, and a discriminator that judges them.

Both are plain chains of layers, halving or doubling the side of the image twice, so the side must be
a multiple of 4. With a noise image of L x K, images of S x S and a width w (s = S / 4):

    generator                                      discriminator
    noise          (N, 1, L, K)                    image        (N, 1, S, S)
    flatten        (N, L K)                        convolution  (N, w, S, S)    ReLU
    linear         (N, 4w s s)        ReLU         max-pooling  (N, w, 2s, 2s)
    unflatten      (N, 4w, s, s)                   convolution  (N, 2w, 2s, 2s) ReLU
    upsampling     (N, 4w, 2s, 2s)                 max-pooling  (N, 2w, s, s)
    convolution    (N, 2w, 2s, 2s)    ReLU         flatten      (N, 2w s s)
    upsampling     (N, 2w, S, S)                   linear       (N, 8w)         ReLU
    convolution    (N, w, S, S)       ReLU         linear       (N, 1)
    convolution    (N, 1, S, S)       sigmoid      flatten      (N,)            one logit per image

Upsampling followed by a convolution is used in place of a transposed convolution, whose overlapping
windows print a checkerboard (Odena et al. 2016).
"""
