// The guided tour: what each step says, what it shows (`at`, a section) and sets. It follows
// docs/foundations.ipynb. `select` is a layer, counted from the inputs, or "logits" or "loss".
export const tour = (data) => [
  {
    title: "A row goes in", at: "row", set: { scheme: "learned", activation: "own" },
    text: data.image
      ? "A picture is a row of numbers, one for each pixel. Draw on it, and everything below follows. Before the network sees them, pixels are brought to mean 0 and spread 1, always by the same two numbers, those of the training rows."
      : "A row is some numbers, texts and dates. Change one, and everything below follows. Before the network sees them they are prepared, always by what the training rows said: scaled, and filled in where they are missing.",
  },
  {
    title: "A network", at: "network", set: { select: 1 },
    text: "Each circle is a unit. It multiplies what comes in by its weights and adds everything up. Lines show the products: thick ones matter most for this row. Press a unit to see its sum.",
  },
  {
    title: "Forward: a sum", at: "unit", set: { select: 1 },
    text: "This is the unit's formula with this row's numbers in it: products of inputs and weights, and a bias. Then the activation bends the result. Without it, many layers would be no more than one.",
  },
  {
    title: "Where to begin", at: "layers", set: { scheme: "lecun_normal", activation: "relu" },
    text: "Weights begin as random numbers. With spread 1/sqrt(D) for D inputs, a sum keeps the spread of what comes in. But the ReLU throws away what is negative, and with it half of the mean square, in every layer.",
  },
  {
    title: "Kaiming's remedy", at: "layers", set: { scheme: "kaiming_normal", activation: "relu" },
    text: "He Kaiming and others made up for that with a factor of 2 under the root. The spread now stays as it is, however many layers there are. The third way is to look at data, and to scale every layer until its spread is 1.",
  },
  {
    title: "The shifted ReLU", at: "layers", set: { scheme: "kaiming_normal", activation: "shifted_relu" },
    text: "What a ReLU gives is never negative, so its mean is not 0 but about 0.4. A simple remedy is to take 0.5 off. Look at the means of y in the table, and compare other activations.",
  },
  {
    title: "The loss", at: "unit", set: { scheme: "learned", activation: "own", select: "loss" },
    text: "How wrong is the answer? The loss says it in one number. Everything that a network learns, it learns by making that number smaller.",
  },
  {
    title: "Back: the last layer", at: "unit", set: { select: "logits" },
    text: data.labels
      ? "Now the slope. Change a logit a little: how does the loss change? For cross-entropy the answer is p − t: what the network said, minus what it should have said."
      : "Now the slope. Change the output a little: how does the loss change? For a squared error the answer is proportional to z − t: what the network said, minus what it should have said.",
  },
  {
    title: "Back: through weights", at: "unit", set: { select: -2 },
    text: "A unit has a part in everything that comes after it. So its derivative dy is a sum over all of these, each times its weight: the same weights, the other way round.",
  },
  {
    title: "Back: through the activation", at: "unit", set: { select: -2 },
    text: "Where the activation is steep, the derivative passes; where it is flat, it stops. A ReLU that is off lets nothing back: its weights learn nothing from this row.",
  },
  {
    title: "Nobody has to believe it", at: "checks", set: { select: -2 },
    text: "A derivative can be measured: change one number a little, and look at the loss. The page does that here, knowing nothing of the formulas, and puts a ✓ where both agree. Press the button to check all of this unit's.",
  },
  {
    title: "One step", at: "training", set: { scheme: "kaiming_normal", steps: 1 },
    text: "The gradient points to where the loss grows. So every parameter moves a little the other way. That was one step, from new random weights. Try a rate that is too large.",
  },
  {
    title: "A hundred steps", at: "training", set: { steps: 100 },
    text: "The same again, each time for some other rows. That is all there is to learning. The drawing above has changed with it: these are its weights now.",
  },
  ...(data.image ? [{
    title: "What it has learned", at: "weights", set: {},
    text: "Every unit's weights are a picture. This is what the steps have added to the noise with which they began: strokes and gaps by which pictures are told apart.",
  }] : []),
  {
    title: "Now you", at: "boundary", set: { scheme: "learned", activation: "own" },
    text: "This is how the answer depends on two columns while all others stay. Press a place, go back to the row, and follow its numbers. Everything here is computed by formulas that you have seen, and checked.",
  },
];
